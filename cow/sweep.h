/*
 * The pass over several drives, window by window.
 */
#ifndef COW_SWEEP_H
#define COW_SWEEP_H

#include "base/error.h"

#include <stdatomic.h>

struct cluster_set;
struct drive;
struct sweep;

struct sweep_run {
	uint64_t cluster; /* the first */
	uint64_t n_clusters;
	bool zero; /* known to be zeros: nothing to read */
	bool cold; /* for sweep_read: see drive_expect */
};

#define SWEEP_RUNS_MAX 64u

struct sweep_piece {
	uint32_t drive;
	uint32_t n_runs;
	uint32_t n_data; /* clusters to read, in all runs */
	struct sweep_run runs[SWEEP_RUNS_MAX];
};

/* Drives are borrowed. window: clusters in a piece that has data, 1 to 64. */
int sweep_new(struct sweep **out, struct drive *const *drives, uint32_t n_drives, uint32_t window,
	      struct error *err);
void sweep_free(struct sweep *sweep);
/* Before the first sweep_next: of drive i only the clusters of sets[i], if that is not NULL.
 * Borrowed. */
void sweep_restrict(struct sweep *sweep, const struct cluster_set *const *sets);
/* The next piece: 1: taken, 0: no more, negative: error. The same drives give the same pieces. One
 * caller at a time. */
int sweep_next(struct sweep *sweep, struct sweep_piece *out, struct error *err);
/* How many bytes of the drives will have to be read, in whole clusters; UINT64_MAX: unknown, as
 * when *stop was set meanwhile. Any thread, also while the pass goes on. */
uint64_t sweep_survey(const struct sweep *sweep, const atomic_bool *stop);
/* Reads the data clusters of a piece one after the other into buffer[n_data * CLUSTER_SIZE], zeros
 * past the end of the drive. Any thread. */
int sweep_read(struct sweep *sweep, const struct sweep_piece *piece, uint8_t *buffer,
	       struct error *err);

#endif
