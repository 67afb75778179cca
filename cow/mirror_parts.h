/*
 * A mirror, shared by its parts: mirror.c, what is asked of it; mirror_copy.c, its threads;
 * mirror_pivot.c. Private to these.
 *
 * What is left to copy is in two bit maps with a bit a cluster: whole, all of the cluster, and
 * parts, those of its blocks that are set in its mask. A thread that copies takes the bits away
 * first, then reads the volume's drive, then writes: a guest sets them after its write has reached
 * the drive, so whatever it read too early is copied again.
 *
 * Clusters are dealt out to the threads by stripes of 64, so no two threads ever write to the same
 * cluster, and what one writes late is not older than what another has written.
 *
 * left_bytes counts marks and what is being copied. A guest's request counts what it marks before
 * it is over, so while a volume is held and drained, 0 means: both sides are the same.
 */
#ifndef COW_MIRROR_PARTS_H
#define COW_MIRROR_PARTS_H

#include "base/grain.h"
#include "cow/capture_state.h"
#include "cow/generation.h"
#include "cow/mirror.h"
#include "cow/mirror_state.h"
#include "drive/drive.h"

#include <pthread.h>
#include <stdatomic.h>

#define LANES_MAX     MIRROR_LANES_MAX
#define LANE_STRIPE   64u /* clusters: a word of the bit maps */
#define LANE_CLUSTERS 16u /* copied at a time */

struct lane {
	struct mirror *mirror;
	unsigned index;
	pthread_t thread;
	bool started;
	uint8_t *buffer;
	uint64_t cursor;	   /* the thread's own */
	_Atomic uint64_t progress; /* in its first pass: clusters before it are copied */
	_Atomic uint64_t n_passes; /* over all of its clusters */
};

struct mirror {
	struct volume *volume;
	struct generation *map; /* or NULL */
	struct drive *source, *target;
	uint64_t size_bytes, n_clusters;
	_Atomic uint64_t *whole, *parts;
	_Atomic uint16_t *masks;
	uint64_t *fresh; /* clusters of the target that are zeros because nothing was written there;
			    NULL: none */
	struct lane lanes[LANES_MAX];
	unsigned n_lanes;
	bool armed; /* the volume knows it */

	_Atomic int64_t left_bytes;
	_Atomic uint64_t copied_bytes, held_writes;
	_Atomic uint64_t rate;
	_Atomic int64_t moved_ms;	    /* when something was copied, or nothing was left */
	_Atomic int64_t left_at_pass;	    /* when the last pass ended */
	int64_t compared_ms, compared_left; /* the first lane's own */
	int64_t looked_ms;		    /* and this */
	struct mirror_watch *watch;	    /* or NULL */
	_Atomic unsigned n_worse;	    /* comparisons in a row by which more was left */
	atomic_bool may_hold, hurry, stopping, broken;
	atomic_bool failed; /* err is set */

	pthread_mutex_t lock; /* guards what follows; changed: any of it, or of the above */
	pthread_cond_t changed;
	struct error err;
	struct mirror_point known; /* durable */
	struct mirror_point begun; /* what it will have after the first pass */
	uint64_t flushes_asked, flushes_done;
	unsigned n_running; /* threads */
};

/* ---- mirror_marks.c; and what mirror_state.h has of it ---- */

void mirror_mark_whole(struct mirror *mirror, uint64_t first, uint64_t end);
/* Whether each thread has been through its clusters. */
bool mirror_is_over_once(const struct mirror *mirror);
bool mirror_is_stalled(const struct mirror *mirror);

/* ---- mirror.c ---- */

/* While the volume is held and drained: all that was written until now is in the generations up to
 * that of the point. advance: which ends now. */
void mirror_point_here(const struct mirror *mirror, bool advance, struct mirror_point *out);

/* ---- mirror_copy.c ---- */

int lanes_start(struct mirror *mirror, struct error *err);
void mirror_fail(struct mirror *mirror, const struct error *why);
void mirror_wake(struct mirror *mirror);

#endif
