/*
 * The capture: the data of several drives at one instant, while a guest keeps writing.
 *
 * A volume is a drive that guests write to through this program. A capture arms volumes: from one
 * instant on, each cluster is saved before it changes, either by the pass over all clusters or, if
 * a guest write comes first, by that write. Both put the saved clusters into a buffer
 * (cow/buffer.h).
 *
 * Guest requests may come from any thread, any number at once. As with any disk, requests that
 * overlap in flight have no order; the capture still saves the data of its instant.
 */
#ifndef COW_CAPTURE_H
#define COW_CAPTURE_H

#include "cow/buffer.h"
#include "drive/drive.h"
#include "cow/generation.h"

struct volume;
struct capture;

/* ---- volumes ---- */

/* drive: if it is not open for writing (drive_options.writable), every write is refused with EPERM.
 * map: records writes; may be NULL. Both are borrowed and outlive the volume. */
int volume_new(struct volume **out, const char *name, struct drive *drive, struct generation *map,
	       struct error *err);
void volume_free(struct volume *volume); /* NULL-safe; no request may be in flight */
const char *volume_name(const struct volume *volume);
struct drive *volume_drive(const struct volume *volume);
struct generation *volume_map(const struct volume *volume);

/* When the last guest request came, in nanoseconds since 1970; 0: none did yet. Any thread. */
uint64_t volume_last_request_ns(const struct volume *volume);

/* Guest requests, with enum drive_flags. Ranges must lie within the drive. Return 0 or an errno
 * value. A request may be larger than memory: it is done in parts. The instant of a capture never
 * splits a write, nor a zeroing or trimming of up to 256 MiB. */
int volume_read(struct volume *volume, uint64_t offset, void *to, uint32_t n, unsigned flags);
int volume_write(struct volume *volume, uint64_t offset, const void *from, uint32_t n,
		 unsigned flags);
int volume_zero(struct volume *volume, uint64_t offset, uint64_t n, unsigned flags);
/* Each trimmed page reads as zeros or as before. Clusters that a capture has yet to save may be
 * left untouched: trimming is a hint, and saving data that the guest has discarded could fill the
 * buffer. */
int volume_trim(struct volume *volume, uint64_t offset, uint64_t n, unsigned flags);
int volume_flush(struct volume *volume);
/* As drive_status, but from any thread. */
int volume_status(struct volume *volume, uint64_t offset, uint64_t *n, bool *zero);

/* ---- the capture ---- */

/* What is wanted of a volume: all of it, or only clusters written after a generation of its map
 * ended. */
struct capture_since {
	bool some;
	uint16_t generation;
};

struct capture_options {
	const struct capture_since *since; /* of each volume; NULL: all of all volumes */
	uint64_t drain_ms; /* how long requests in flight may delay the instant, and with it new
			      requests; after that the capture fails. 0: 5000 */
};

/* Delays the capture added to guest writes: reading old data, waiting for another thread that reads
 * it, waiting for room. Writes that were not delayed count as 0. The hold at the instant is not
 * included. */
struct delays {
	uint64_t n;
	uint64_t p50_ns, p99_ns, max_ns;
};

struct capture_status {
	uint64_t n_clusters;	 /* wanted, of all drives */
	uint64_t todo_clusters;	 /* of them, not saved yet */
	uint64_t swept_clusters; /* with data, saved by the pass */
	uint64_t saved_clusters; /* with data, saved by guest writes */
	uint64_t zero_clusters;	 /* known to be zeros without reading */
	uint64_t read_clusters;	 /* reads of old data, each cluster at most once */
	uint64_t quiesce_ns;	 /* how long writes were held at the instant */
	struct delays delays;
};

/* All that can be done before the instant: looks through the maps, if only what changed is wanted,
 * while guests go on. Drive numbers in the buffer are positions in volumes[]. A volume can be in
 * one capture at a time, else ERR_LOCKED. Volumes and buffer are borrowed. */
int capture_prepare(struct capture **out, struct volume *const *volumes, uint32_t n_volumes,
		    struct buffer *buffer, const struct capture_options *options,
		    struct error *err);
/* The instant: holds new writes on all volumes, waits for those in flight, arms all volumes, and
 * lets writes continue. Advances the generation of each map. Once all clusters that are wanted are
 * saved the capture ends the buffer. After an error only capture_end may follow. */
int capture_start(struct capture *capture, struct error *err);
/* Both; an error leaves nothing. */
int capture_begin(struct capture **out, struct volume *const *volumes, uint32_t n_volumes,
		  struct buffer *buffer, const struct capture_options *options, struct error *err);
/* An instant of which nothing is saved: ends the generation of each map, as capture_start does.
 * *quiesce_ns: how long writes were held. */
int capture_mark(struct volume *const *volumes, uint32_t n_volumes,
		 const struct capture_options *options, uint64_t *quiesce_ns, struct error *err);
/* After the instant: which clusters of that volume are wanted; NULL: all. Borrowed until
 * capture_end. */
const struct cluster_set *capture_wanted(const struct capture *capture, uint32_t i);
/* For the writer, from any number of threads: the next chunk to be written. Clusters saved by guest
 * writes go first; if there are none, the calling thread takes a step of the pass. So the pass runs
 * as fast as its chunks are consumed. 1: taken, to be given back by buffer_release; 0: no more
 * chunks; negative: failed. */
int capture_next(struct capture *capture, struct chunk **out, struct error *err);
/* Instead of both, for a capture without a pass, which is read where somebody likes: the cluster as
 * it was at the instant, of which it stays unsaved. 1: done; 0: it is saved, and so is in the
 * buffer or was taken from there, or the capture has failed; negative. Any thread. */
int capture_peek(struct capture *capture, uint32_t i, uint64_t cluster, uint8_t *to,
		 struct error *err);
/* The same for what the drive's storage says: whether zeros, and for how many clusters. */
int capture_peek_zeros(struct capture *capture, uint32_t i, uint64_t cluster, uint64_t *n,
		       bool *zeros, struct error *err);
/* A step of the pass: reads the next window of clusters that are not saved yet into a chunk, and
 * hands it in. 1: done, 0: all clusters of all drives are saved or being saved by guest writes,
 * 2: the buffer has no room, negative: failed. From any number of threads. */
int capture_step(struct capture *capture, struct error *err);
/* Whether a guest has sent a request within the last second: if not, the pass need not give way. */
bool capture_guest_is_active(const struct capture *capture);
void capture_status(const struct capture *capture, struct capture_status *out);
/* Disarms: from now on guest writes go straight through, and clusters not saved yet never will be.
 * No other thread may be in capture_next; buffer_fail makes them return. NULL-safe. */
void capture_end(struct capture *capture);

#endif
