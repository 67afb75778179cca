/* Small archives of known content, made by the writer, kept in memory. */
#ifndef TESTS_UNIT_SAMPLE_H
#define TESTS_UNIT_SAMPLE_H

#include "format/format.h"
#include "writer/writer.h"

#include <stddef.h>

struct sample {
	uint8_t *bytes; /* owned: the archive */
	size_t size;
	struct archive *archive; /* owned: what it was made from */
	uint8_t **drives;	 /* owned: the content of each drive, whole clusters */
};

struct sample_options {
	enum archive_format format;
	enum cluster_checksum cluster_checksum;
	int level;
	enum wrap wrap;
	unsigned n_threads;
	uint32_t clusters_in_piece; /* 1 to 64 */
	uint64_t size_bytes[3];	    /* of the drives; 0 ends the list */
	bool shuffled;		    /* pieces come in another order */
};

/* Asserts that all goes well. */
void sample_make(struct sample *out, const struct sample_options *options);
void sample_free(struct sample *sample);

/* Reads an archive in memory from beginning to end as a verify does, with these bytes. Compares
 * each cluster with the sample's when sample is not NULL. Returns the code of the first error. */
int sample_read(const uint8_t *bytes, size_t size, const struct sample *sample, struct error *err);

#endif
