/*
 * Small ranges of bytes that changed, in ascending order: those of one cluster are told as one.
 */
#ifndef ARCHIVE_MARKS_H
#define ARCHIVE_MARKS_H

#include "archive/changes.h"

struct marks {
	struct changes *changes; /* borrowed */
	uint64_t size_bytes;	 /* of the drive: what is past it does not count */
	uint64_t from, to;	 /* a range that is not among them yet; empty: none */
};

/* From byte from to byte to, none of it before what was added last. */
int marks_add(struct marks *marks, uint64_t from, uint64_t to, struct error *err);
/* To be called in the end. */
int marks_end(struct marks *marks, struct error *err);

#endif
