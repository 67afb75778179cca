/*
 * The capture: the state of several drives at one instant, while a guest goes on writing.
 *
 * A volume is a drive that others write to through us. A capture arms volumes: from one instant
 * on each cluster is saved before it changes, either by the pass over all clusters or, when a
 * guest write comes first, by that write. Both put what they save into a buffer (cow/buffer.h).
 *
 * Guest requests: any thread, any number at once. Requests that overlap in flight have no order
 * among them, as with any disk; the capture saves what was there at its instant all the same.
 */
#ifndef COW_CAPTURE_H
#define COW_CAPTURE_H

#include "cow/buffer.h"
#include "drive/drive.h"
#include "cow/generation.h"

struct volume;
struct capture;

/* ---- volumes ---- */

/* drive: open for writing (drive_options.writable), or not, then every write is refused with
 * EPERM. map: where writes are recorded, or NULL. Both borrowed, both outlive the volume. */
int volume_new(struct volume **out, const char *name, struct drive *drive, struct generation *map,
	       struct error *err);
void volume_free(struct volume *volume); /* no request may be in flight */
const char *volume_name(const struct volume *volume);
struct drive *volume_drive(const struct volume *volume);
struct generation *volume_map(const struct volume *volume);

enum volume_flags {
	VOLUME_FUA = 1,	     /* durable before it returns */
	VOLUME_MAY_TRIM = 2, /* zero: the space may be given back */
	VOLUME_FAST = 4,     /* zero: only if it is faster than writing zeros, else ENOTSUP */
	VOLUME_NOW = 8,	     /* only if it can be had without waiting, else EAGAIN: nothing done */
};

/* Guest requests. Ranges must lie within the drive. Return 0 or an errno value. A request may be
 * longer than memory: it is done part by part. The instant of a capture never cuts a write in two,
 * nor a zeroing or trimming of up to 256 MiB. */
int volume_read(struct volume *volume, uint64_t offset, void *to, uint32_t n, unsigned flags);
int volume_write(struct volume *volume, uint64_t offset, const void *from, uint32_t n,
		 unsigned flags);
int volume_zero(struct volume *volume, uint64_t offset, uint64_t n, unsigned flags);
/* What is trimmed reads as zeros or as before, page by page. A cluster that a capture has yet to
 * save may be left as it is: trimming is a hint, and saving what a guest has thrown away could fill
 * the buffer. */
int volume_trim(struct volume *volume, uint64_t offset, uint64_t n, unsigned flags);
int volume_flush(struct volume *volume);
/* As drive_status, from any thread. */
int volume_status(struct volume *volume, uint64_t offset, uint64_t *n, bool *zero);

/* ---- the capture ---- */

struct capture_options {
	uint64_t drain_ms; /* how long requests in flight may hold up the instant, and so others
			      behind them; then there is no capture. 0: 5000 */
};

/* Delays of guest writes that the capture caused, all of them, those of nothing included: reading
 * old data, waiting for others that read it, waiting for room. How long writes were held at the
 * instant is not in them. */
struct delays {
	uint64_t n;
	uint64_t p50_ns, p99_ns, max_ns;
};

struct capture_status {
	uint64_t n_clusters;	 /* of all drives */
	uint64_t todo_clusters;	 /* not saved yet */
	uint64_t swept_clusters; /* data, by the pass */
	uint64_t saved_clusters; /* data, by guest writes */
	uint64_t zero_clusters;	 /* known to be zeros without reading */
	uint64_t read_clusters;	 /* reads of old data, each cluster at most once */
	uint64_t quiesce_ns;	 /* for how long writes were held at the instant */
	struct delays delays;
};

/* The instant: holds new writes on all volumes, waits for those in flight, arms all, lets go. When
 * all clusters are saved the buffer is ended.
 * Drive numbers in the buffer are positions in volumes[]. A volume can be in one capture at a time:
 * ERR_LOCKED. Each map's generation is advanced. Volumes and buffer are borrowed. */
int capture_begin(struct capture **out, struct volume *const *volumes, uint32_t n_volumes,
		  struct buffer *buffer, const struct capture_options *options, struct error *err);
/* For the writer, from as many threads as it has: the next chunk to be written. What guests have
 * saved goes first; if there is none, the calling thread takes a step of the pass. So the pass goes
 * as fast as its chunks are wanted. 1: taken, to be given back with buffer_release; 0: all was
 * given; negative: failed. */
int capture_next(struct capture *capture, struct chunk **out, struct error *err);
/* A step of the pass: takes the next window of clusters that are still to be saved, reads them into
 * a chunk, hands it in. 1: done something, 0: all clusters of all drives are saved or being saved
 * by guest writes, 2: the buffer has no room, negative: failed. From one thread or several. */
int capture_step(struct capture *capture, struct error *err);
/* Whether guests have asked anything of the drives within the last second: if not, there is nobody
 * to make way for. */
bool capture_guests_at_work(const struct capture *capture);
void capture_status(const struct capture *capture, struct capture_status *out);
/* Disarms: guest writes go straight through from now on, whatever was not saved is not. No other
 * thread may be in capture_next; buffer_fail has them come back. NULL-safe. */
void capture_end(struct capture *capture);

#endif
