/*
 * What the parts of a capture share. Private to cow/volume.c and cow/capture*.c; the essay is in
 * capture.c.
 */
#ifndef COW_CAPTURE_STATE_H
#define COW_CAPTURE_STATE_H

#include "cow/capture.h"
#include "cow/sweep.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- delays: log2 with 8 steps between powers, without a lock ---- */

#define DELAY_BUCKETS 512u

struct delay_counts {
	_Atomic uint64_t none; /* of nothing */
	_Atomic uint64_t counts[DELAY_BUCKETS];
	_Atomic uint64_t max_ns;
};

void delays_add(struct delay_counts *delays, uint64_t ns);
/* Percentiles are the upper ends of their buckets: at most an eighth too large. */
void delays_sum_up(const struct delay_counts *delays, struct delays *out);

/* ---- a capture ---- */

struct capture;

struct captured {
	struct capture *capture;
	struct volume *volume;
	struct drive *drive;
	uint32_t number; /* of the drive, in the buffer */
	uint64_t n_clusters;
	_Atomic uint64_t *saved; /* a bit a cluster; set under the capture's lock, read by anyone */
};

/* Clusters that somebody is saving now. Lives on its owner's stack, linked by the capture. */
struct claim {
	struct captured *captured;
	uint64_t first, end; /* first goes up as they are saved */
	struct claim *next;
};

struct capture {
	/* Constant. */
	struct buffer *buffer;
	struct captured *captured;
	uint32_t n_captured;
	uint64_t n_clusters;
	uint64_t quiesce_ns;

	/* Guards claims and n_waiting, and is held where bits of saved are set. */
	pthread_mutex_t lock;
	pthread_cond_t settled; /* clusters were saved, a claim was dropped, or it failed */
	struct claim *claims;
	unsigned n_waiting;

	/* Guards the pass: what comes next. Taken before lock. */
	pthread_mutex_t pass_lock;
	struct drive **drives; /* constant */
	struct sweep *sweep;
	struct sweep_piece zeros; /* a run that is not all used up, if it has clusters */
	atomic_bool pass_over;

	atomic_bool failed;		/* nothing is saved any more; why is with the buffer */
	_Atomic uint64_t todo_clusters; /* goes down under lock */
	_Atomic uint64_t swept_clusters, saved_clusters, zero_clusters, read_clusters;
	struct delay_counts delays;
};

/* The capture is over; the guest goes on. */
void capture_fail(struct capture *capture, const struct error *why);

/* ---- which clusters are saved (capture_map.c) ---- */

/* Up to where from first on all are saved, at most end. All are once the capture has failed. */
uint64_t saved_until(const struct captured *captured, uint64_t first, uint64_t end);

/* Claims at most max clusters among first to end that are neither saved nor claimed. wait: comes
 * back with false only when all are saved or the capture has failed; else also when all are
 * claimed. */
bool claim_some(struct claim *claim, struct captured *captured, const uint64_t range[2],
		uint32_t max, bool wait);
/* The first n are saved: they lie in the buffer or in a chunk that will be handed in. */
void claim_settle(struct claim *claim, uint64_t n);
void claim_drop(struct claim *claim);
/* Marks as saved what is neither saved nor claimed between *at and end, and appends it to the
 * chunk's runs of zeros, as far as they fit. *at: up to where it came. */
void take_zeros(struct captured *captured, uint64_t *at, uint64_t end, struct chunk *chunk);

/* To be called after clusters were saved, with no lock held: the last one is the end of the buffer.
 */
void end_if_all_saved(struct capture *capture);

/* ---- for volumes (capture_save.c) ---- */

/* Saves what is not saved among these clusters. Returns how long that held up the guest, in ns. */
uint64_t captured_save(struct captured *captured, uint64_t first, uint64_t end);
/* The same without waiting for anything, and adds nothing to the delays. False: not all are saved.
 */
bool captured_save_now(struct captured *captured, uint64_t first, uint64_t end, uint64_t *delay_ns);
void captured_add_delay(struct captured *captured, uint64_t ns);
/* Whether saving more than what must be is unwise now. */
bool captured_is_pressed(const struct captured *captured);

#endif
