/*
 * Shared by the parts of a capture. Private to cow/volume.c and cow/capture*.c; capture.c explains
 * how it works.
 */
#ifndef COW_CAPTURE_STATE_H
#define COW_CAPTURE_STATE_H

#include "base/clusterset.h"
#include "cow/capture.h"
#include "cow/sweep.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- volume.c ----
 *
 * What a capture needs of volumes.
 */

struct captured; /* a volume's part in a capture */

/* Reserves it for one capture. False: it is in a capture already. */
bool volume_claim(struct volume *volume);
void volume_unclaim(struct volume *volume);

/* The instant: no request that changes data begins between hold and let_go. After a drain that
 * returned true none is in flight either; false: not by the time clock_ms() was until_ms. */
void volume_hold(struct volume *volume);
bool volume_drain(struct volume *volume, int64_t until_ms);
void volume_let_go(struct volume *volume);

/* From now on requests tell *captured what they changed, until the volume is armed or disarmed. */
void volume_prepare(struct volume *volume, struct captured *captured);
/* While held and drained: from now on requests go through *captured. */
void volume_arm(struct volume *volume, struct captured *captured);
/* At any time. When it returns, no request uses *captured any more. */
void volume_disarm(struct volume *volume);

/* Whether a request came within the last second. */
bool volume_guest_is_active(const struct volume *volume);

/* ---- a histogram of delays: 8 buckets between powers of two; needs no lock ---- */

#define DELAY_BUCKETS 512u

struct delay_counts {
	_Atomic uint64_t none; /* writes that were not delayed */
	_Atomic uint64_t counts[DELAY_BUCKETS];
	_Atomic uint64_t max_ns;
};

void delays_add(struct delay_counts *delays, uint64_t ns);
/* A percentile is the upper end of its bucket: at most an eighth too large. */
void delays_sum_up(const struct delay_counts *delays, struct delays *out);

/* ---- a capture ---- */

struct capture;

struct captured {
	struct capture *capture;
	struct volume *volume;
	struct drive *drive;
	uint32_t number; /* the drive's number in the buffer */
	uint64_t n_clusters;
	_Atomic uint64_t *saved; /* a bit map; set under the capture's lock, read without it */
	struct capture_since since;
	/* With since.some: which clusters it wants, a bit map until the instant is over, and then
	 * set. */
	_Atomic uint64_t *wanted;
	struct cluster_set set;
};

/* Clusters that a thread is saving now. Lives on that thread's stack, linked by the capture. */
struct claim {
	struct captured *captured;
	uint64_t first, end; /* first advances as they are saved */
	struct claim *next;
};

struct capture {
	/* Constant. */
	struct buffer *buffer;
	struct captured *captured;
	uint32_t n_captured;
	uint64_t n_clusters; /* since the instant */
	uint64_t quiesce_ns;
	uint64_t drain_ms;
	bool started;			 /* the instant has been */
	const struct cluster_set **sets; /* of each volume; NULL: all of it */

	/* Guards claims and n_waiting, and is held while bits of saved are set. */
	pthread_mutex_t lock;
	pthread_cond_t settled; /* clusters saved, claim dropped, or capture failed */
	struct claim *claims;
	unsigned n_waiting;

	/* Guards the position of the pass. Taken before lock. */
	pthread_mutex_t pass_lock;
	struct drive **drives; /* constant */
	struct sweep *sweep;
	struct sweep_piece zeros; /* the rest of a run, if it has clusters */
	atomic_bool pass_over;

	atomic_bool failed;		/* no more clusters are saved; the buffer has the reason */
	_Atomic uint64_t todo_clusters; /* since the instant it decreases, under lock */
	_Atomic uint64_t swept_clusters, saved_clusters, zero_clusters, read_clusters;
	struct delay_counts delays;
};

/* Ends the capture; the guest runs on. */
void capture_fail(struct capture *capture, const struct error *why);

/* ---- saved and claimed clusters (capture_claims.c) ---- */

/* The first cluster from first on that is not saved, at most end. Once the capture has failed, all
 * count as saved. */
uint64_t saved_until(const struct captured *captured, uint64_t first, uint64_t end);

/* Claims at most max clusters of the range that are neither saved nor claimed. Returns false when
 * all are saved or the capture has failed; with wait false, also when all others are claimed. */
bool claim_some(struct claim *claim, struct captured *captured, const uint64_t range[2],
		uint32_t max, bool wait);
/* The first n are saved: they are in the buffer, or in a chunk that will be handed in. */
void claim_settle(struct claim *claim, uint64_t n);
void claim_drop(struct claim *claim);
/* Marks as saved all clusters between *at and end that are neither saved nor claimed, and appends
 * them to the chunk's runs of zeros. Stops when the chunk is full, and moves *at to where it
 * stopped. */
void take_zeros(struct captured *captured, uint64_t *at, uint64_t end, struct chunk *chunk);

/* Call it after clusters were saved, with no lock held: after the last one it ends the buffer. */
void end_if_all_saved(struct capture *capture);

/* ---- what is wanted (capture_since.c) ---- */

/* Before the instant: looks through the volume's map. */
int captured_look(struct captured *captured, struct error *err);
/* After the instant. */
int captured_settle(struct captured *captured, struct error *err);
void captured_forget(struct captured *captured);

/* ---- for volumes (capture_save.c) ---- */

/* Saves those of these clusters that are not saved. Returns the delay to the guest, in ns. */
uint64_t captured_save(struct captured *captured, uint64_t first, uint64_t end);
/* The same without waiting. False: not all are saved. */
bool captured_save_now(struct captured *captured, uint64_t first, uint64_t end, uint64_t *delay_ns);
/* Between captured_look and the instant: these clusters have changed. */
void captured_want(struct captured *captured, uint64_t first, uint64_t end);
void captured_add_delay(struct captured *captured, uint64_t ns);
/* Whether the buffer is too full to save anything that need not be saved. */
bool captured_is_pressed(const struct captured *captured);

#endif
