/*
 * Where the clusters of an archive lie, for those that read them in any order: VMAB by its index,
 * plain VMA by one pass over its headers. The input must have input_size.
 */
#ifndef READER_LOOKUP_H
#define READER_LOOKUP_H

#include "reader/reader.h"

/* A run of clusters of a drive that an extent holds, as the index says. */
struct lookup_run {
	uint64_t cluster, n_clusters;
	uint64_t extent_at; /* position */
	uint32_t drive;
};

typedef int lookup_visit(void *context, const struct lookup_run *run, struct error *err);

/* Tells visit of every run, those of one extent one after the other. What the index says is true
 * only once the extent was read. ERR_INCOMPLETE: the archive does not end properly, or its index
 * names fewer clusters than its tail counts. Moves the input. */
int lookup_runs(struct reader *reader, struct input *in, lookup_visit *visit, void *context,
		struct error *err);

/* The header of an extent, checked. header: SECTION_HEADER_MAX bytes. Any thread. */
int lookup_extent(const struct archive *archive, struct input *in, uint64_t extent_at,
		  struct section *out, uint8_t *header, struct error *err);
/* Its payload as stored: out->padded_size bytes, for extent_open. Any thread. */
int lookup_payload(struct input *in, const struct section *extent, uint8_t *stored,
		   struct error *err);

#endif
