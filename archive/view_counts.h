/*
 * What a view did so far.
 */
#ifndef ARCHIVE_VIEW_COUNTS_H
#define ARCHIVE_VIEW_COUNTS_H

#include <stdint.h>

struct view_counts {
	uint64_t read_bytes;	   /* of the archives, after their indexes */
	uint64_t n_decoded;	   /* extents */
	uint64_t n_damaged;	   /* extents */
	uint64_t cache_bytes;	   /* that are in use */
	uint64_t cache_most_bytes; /* the most there ever were */
};

#endif
