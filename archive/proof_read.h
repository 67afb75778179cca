/*
 * Clusters of a drive, read and compared with the parent's sums.
 */
#ifndef ARCHIVE_PROOF_READ_H
#define ARCHIVE_PROOF_READ_H

#include "base/clusterset.h"

#include <stdatomic.h>

struct drive;
struct parent_sums;

struct proof_reader {
	struct drive *source;		/* borrowed, like the sums */
	const struct parent_sums *sums; /* which have all of the clusters that are read */
	uint32_t drive;			/* its number for the sums */
	unsigned n_threads;
	_Atomic uint64_t done_bytes; /* read so far, for a progress display */
};

struct proof_found {
	uint64_t n_right, n_wrong;
	uint64_t wrong; /* the first that was found wrong, if n_wrong > 0 */
};

/* Reads those of the first n_clusters that are in the set, and not in except, which may be NULL; it
 * soon ends once one was wrong. Memory: 1 MiB a thread. */
int proof_read(struct proof_reader *reader, const struct cluster_set *set,
	       const struct cluster_set *except, uint64_t n_clusters, struct proof_found *out,
	       struct error *err);
/* Whether the cluster, NULL for zeros, is the one that the parent has this sum of. */
bool proof_is_as_before(const uint8_t *sum, const uint8_t *cluster);

#endif
