/*
 * A mirror: another drive, the target, that follows a volume while guests write to it.
 *
 * At first all clusters are to be copied, or those of which it is not known that the target has
 * them. What guests change is marked once the volume's drive has it, by blocks of 4 KiB, and copied
 * again: so a guest never waits for the target, nor fails because of it. A pivot leads the volume
 * to the target.
 *
 * What a target has can be said by the volume's generation map (struct mirror_point): so one that
 * was left behind is made the same again by copying what changed.
 */
#ifndef COW_MIRROR_H
#define COW_MIRROR_H

#include "base/error.h"

struct drive;
struct mirror;
struct volume;

/* What a target has, durable: of its first n_clusters all that was written before generation
 * `generation` of the map with that id ended. */
struct mirror_point {
	uint64_t map_id;
	uint16_t generation;
	uint64_t n_clusters; /* 0: it has nothing */
};

#define MIRROR_LANES_MAX 8u

/* Whether the target is still what others find under its name: asked each second, and whenever it
 * was flushed, by a thread that copies. An error ends the mirror. */
struct mirror_watch {
	int (*look)(const struct mirror_watch *watch, struct error *err);
};

struct mirror_options {
	struct drive *target;	    /* writable, of the volume's size; owned, once that succeeded */
	bool reads_zeros;	    /* it is known to hold nothing but zeros */
	struct mirror_point known;  /* what it has; of another map it counts as nothing */
	struct mirror_watch *watch; /* or NULL; as the target, and ended by free() */
	unsigned n_lanes;	    /* threads that copy: for a target that answers slowly */
	uint64_t bytes_per_s;	    /* 0: no limit */
	bool may_hold;		    /* see mirror_set_hold */
	bool advance; /* the map's generation may be ended: no instant is being taken meanwhile */
};

/* Copies from here on. ERR_LOCKED: the volume has a mirror already. */
int mirror_begin(struct mirror **out, struct volume *volume, const struct mirror_options *options,
		 struct error *err);

/* Any time, any thread. */
void mirror_set_rate(struct mirror *mirror, uint64_t bytes_per_s);
/* Whether guests may be slowed down when they write faster than the target takes it: each write
 * waits for at most MIRROR_HOLD_MS, and none does once the target has taken nothing for
 * MIRROR_STALL_MS. Otherwise what they write is only marked, and is copied when there is time. */
#define MIRROR_HOLD_MS	100
#define MIRROR_STALL_MS 1000
void mirror_set_hold(struct mirror *mirror, bool may_hold);

/* Left to copy, at most, for a mirror to be in sync. */
#define MIRROR_SYNC_BYTES (1u << 20)

struct mirror_status {
	uint64_t total_bytes;
	uint64_t left_bytes;
	uint64_t copied_bytes; /* read for the target since the start, again and again */
	uint64_t held_writes;  /* of guests that were slowed down */
	bool in_sync;
	bool stalled; /* the target has taken nothing for a while, though there is something left */
	bool diverging; /* guests have been writing faster than the target takes it */
	bool failed;	/* the mirror is over, and guests are not concerned */
	struct error err;
};

void mirror_status(struct mirror *mirror, struct mirror_status *out);

/* What the target has by now as far as is known without waiting. */
void mirror_known(struct mirror *mirror, struct mirror_point *out);
/* In two steps, as the first ends a generation, and the second may take long: an instant, and then
 * the target has all that was written before it, and it is durable, which mirror_known then tells.
 * While the first copy runs it is what was copied so far. advance: as in mirror_options.
 * ERR_SYSTEM, with sys ETIMEDOUT: not by the time that clock_ms() was until_ms. */
struct mirror_instant {
	struct mirror_point point;
	uint64_t passes[MIRROR_LANES_MAX];
};
int mirror_instant(struct mirror *mirror, bool advance, int64_t until_ms,
		   struct mirror_instant *out, struct error *err);
int mirror_settle(struct mirror *mirror, const struct mirror_instant *instant, int64_t until_ms,
		  struct error *err);
/* Whoever is in mirror_settle returns as if it was too late. Any thread. */
void mirror_break(struct mirror *mirror);

struct mirror_pivot {
	/* Called while the guest stands still and both sides are the same, before anything is
	 * switched; points: of each drive. Nothing that waits for a disk. */
	int (*record)(void *context, const struct mirror_point *points, struct error *err);
	/* Called once the guest goes on at the target, which is durable: makes that record durable,
	 * too. What the guest wants durable waits for it. */
	int (*keep)(void *context, struct error *err);
	void *context;
	unsigned limit_ms;	/* how long the guest may stand still for one attempt */
	uint64_t standstill_ns; /* out: how long it stood still, the last time */
	unsigned n_attempts;	/* out */
};

/* Leads the volumes to the targets of their mirrors, all of them at one instant. After success the
 * mirrors are over, and it is the drives that the volumes had which mirror_end closes. An error of
 * keep is told, with *pivoted set. ERR_LOCKED: a backup of them is running. */
int mirror_pivot(struct mirror *const *mirrors, uint32_t n, struct mirror_pivot *pivot,
		 bool *pivoted, struct error *err);

/* After a pivot: the drive that the guest had, brought to its disk. An errno, or 0. */
int mirror_flush_left(struct mirror *mirror);

/* From here on nothing is copied any more, and guests do not notice it any longer. False: its
 * threads have not ended within wait_ms, because the target gives no answer; to be called again
 * then. True: it and its target are closed and freed. */
bool mirror_end(struct mirror *mirror, unsigned wait_ms);

#endif
