/*
 * Saved clusters that wait for the writer: a fixed memory of chunks of 64 clusters, backed by a
 * spill file for urgent clusters.
 *
 * Two kinds of work go in. Urgent clusters come one at a time, each from a guest whose write is
 * blocked until its old data is saved. The pass over the drives hands in whole chunks, and can be
 * made to wait. Urgent clusters go out first, and only they may use the last part of the memory
 * and the spill file.
 *
 * All functions may be called from any thread.
 */
#ifndef COW_BUFFER_H
#define COW_BUFFER_H

#include "base/error.h"

#include <stdatomic.h>

#define CHUNK_CLUSTERS 64u
#define CHUNK_ZEROS    64u
#define CHUNK_SIZE     (CHUNK_CLUSTERS * CLUSTER_SIZE) /* bytes */

struct buffer;

struct chunk_cluster {
	uint32_t drive;
	uint64_t cluster;
};

struct chunk_zeros {
	uint32_t drive;
	uint64_t cluster; /* the first */
	uint64_t n_clusters;
};

/* One piece of work for the writer. bytes holds n_clusters clusters one after the other. Whoever
 * holds a chunk may change its bytes (the writer packs them in place). */
struct chunk {
	uint32_t index; /* of the chunk in the memory: bytes == memory + index * CHUNK_SIZE */
	uint32_t n_clusters;
	uint32_t n_zeros;
	bool urgent; /* holds clusters from buffer_put */
	uint8_t *bytes;
	struct chunk_cluster clusters[CHUNK_CLUSTERS];
	struct chunk_zeros zeros[CHUNK_ZEROS];
};

/* What happens when urgent clusters fill the memory and the spill file. */
enum when_full {
	FULL_FAIL, /* the buffer fails: the backup ends, the guest runs on */
	FULL_WAIT, /* the guest waits */
};

struct buffer_options {
	uint32_t n_chunks;     /* at least 4 */
	uint64_t spill_bytes;  /* most bytes of the spill file; 0: no spill file */
	const char *spill_dir; /* the folder of the unnamed spill file; borrowed during the call */
	enum when_full when_full;
};

struct buffer_counts {
	_Atomic uint64_t urgent_clusters;  /* from buffer_put */
	_Atomic uint64_t passed_clusters;  /* with data, from buffer_hand_in */
	_Atomic uint64_t spilled_clusters; /* urgent ones that went through the spill file */
	_Atomic uint64_t peak_bytes;	   /* most memory in use at once */
};

/* The memory is a memfd, sealed against growing and shrinking, so that another process can write
 * the archive from it. The buffer never reads what it has handed out, so such a process can harm
 * only its own backup. */
int buffer_new(struct buffer **out, const struct buffer_options *options, struct error *err);
void buffer_free(struct buffer *buffer);    /* NULL-safe; no other call may be in progress */
int buffer_fd(const struct buffer *buffer); /* the memfd: borrowed */
/* Where the memory begins, with room for n_clusters, of a chunk at most: for who uses it before any
 * chunk is in use. */
int buffer_begin(struct buffer *buffer, uint32_t n_clusters, uint8_t **out, struct error *err);

/* Urgent clusters. Gives room for one, which the caller fills and then commits or gives up. Never
 * waits for more than a lock or one cluster being written to the spill file, unless when_full is
 * FULL_WAIT. Returns 0, or negative: the buffer has failed, perhaps by this call; with wait false
 * also 2: no room in memory now, and the call changed nothing. */
struct buffer_room {
	uint8_t *bytes; /* CLUSTER_SIZE */
	void *keep;	/* the buffer's own */
};
int buffer_put(struct buffer *buffer, struct buffer_room *room, bool wait, struct error *err);
void buffer_commit(struct buffer *buffer, struct buffer_room *room, uint32_t drive,
		   uint64_t cluster);
void buffer_give_up(struct buffer *buffer, struct buffer_room *room);
/* An urgent run of zeros; it needs no room. Returns as buffer_put does. */
int buffer_put_zeros(struct buffer *buffer, const struct chunk_zeros *run, bool wait,
		     struct error *err);

/* Chunks for the pass. An empty chunk, or NULL: the buffer has failed, or (with wait false) has
 * none to give now. Waits until more than half of the chunks are free and the spill file is
 * empty. */
struct chunk *buffer_take_empty(struct buffer *buffer, bool wait);
/* Allocates memory for the first clusters of such a chunk. Call it before writing to them. */
int buffer_get_memory(const struct buffer *buffer, struct chunk *chunk, uint32_t n_clusters,
		      struct error *err);
void buffer_hand_in(struct buffer *buffer, struct chunk *chunk);

/* No more clusters come, apart from chunks already taken from buffer_take_empty. */
void buffer_end(struct buffer *buffer);
/* Ends everything: all waiting calls return *why as their error. The first call counts. */
void buffer_fail(struct buffer *buffer, const struct error *why);
bool buffer_has_failed(const struct buffer *buffer);
/* 0, or the error the buffer failed with. */
int buffer_error(struct buffer *buffer, struct error *err);
/* Waits until it has failed; as buffer_error. */
int buffer_await_failure(struct buffer *buffer, struct error *err);

/* For the writer: the next chunk, urgent ones first, a partly filled one if there is nothing else.
 * 1: taken, 0: no more, negative: failed, 2: nothing now (see buffer_wait). A caller that holds
 * chunks while waiting for more can deadlock on itself when memory is short. */
enum buffer_wait {
	BUFFER_WHOLE,	    /* does not wait, and does not take chunks that are being filled */
	BUFFER_NOW,	    /* does not wait */
	BUFFER_FOR_CHANCES, /* waits; 2: buffer_take_empty may give a chunk now */
	BUFFER_FOR_WORK,    /* waits; never returns 2 */
};
int buffer_next(struct buffer *buffer, struct chunk **out, enum buffer_wait wait,
		struct error *err);
void buffer_release(struct buffer *buffer, struct chunk *chunk);

/* Memory in use, in thousandths; above 1000, the spill file's share is added. For callers that slow
 * down as the buffer fills. */
uint32_t buffer_fill(const struct buffer *buffer);
const struct buffer_counts *buffer_counts(const struct buffer *buffer);

#endif
