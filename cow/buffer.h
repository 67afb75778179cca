/*
 * Where clusters wait between those who save them and those who write the archive: a fixed memory
 * of chunks of 64 clusters, and behind it, for clusters that cannot wait, a scratch file.
 *
 * Two kinds of work go in. The urgent kind comes one cluster at a time from a guest whose write is
 * waiting; the other kind comes in whole chunks from a pass that can wait itself. Urgent clusters
 * go out first, and only they may use the last part of the memory and the scratch file.
 *
 * All functions: any thread.
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

/* One piece of work for the writer. bytes holds n_clusters clusters one after the other. The
 * one who holds a chunk may change its bytes (the writer packs them in place). */
struct chunk {
	uint32_t index; /* of the chunk in the memory: bytes == memory + index * CHUNK_SIZE */
	uint32_t n_clusters;
	uint32_t n_zeros;
	bool urgent; /* holds clusters that came by buffer_put */
	uint8_t *bytes;
	struct chunk_cluster clusters[CHUNK_CLUSTERS];
	struct chunk_zeros zeros[CHUNK_ZEROS];
};

/* When memory and scratch file are full of urgent clusters. */
enum when_full {
	FULL_FAIL, /* buffer_fail is called: the backup ends, the guest goes on */
	FULL_WAIT, /* the guest waits */
};

struct buffer_options {
	uint32_t n_chunks;     /* at least 4 */
	uint64_t spill_bytes;  /* of the scratch file; 0: none */
	const char *spill_dir; /* where it is made, without a name; borrowed until the call ends */
	enum when_full when_full;
};

struct buffer_counts {
	_Atomic uint64_t urgent_clusters;  /* that came by buffer_put */
	_Atomic uint64_t passed_clusters;  /* data that came by buffer_hand_in */
	_Atomic uint64_t spilled_clusters; /* of the urgent: that went through the scratch file */
	_Atomic uint64_t peak_bytes;	   /* most memory in use at once */
};

/* The memory is a memfd, sealed against growing and shrinking, so that another process can write
 * the archive from it: what the buffer hands out it never reads again, so that process can harm
 * nothing but its own backup. */
int buffer_new(struct buffer **out, const struct buffer_options *options, struct error *err);
void buffer_free(struct buffer *buffer);    /* NULL-safe; nobody may be inside */
int buffer_fd(const struct buffer *buffer); /* the memfd: borrowed */

/* The urgent kind. Gives room for one cluster, to be filled by the caller and then committed or
 * given up. Never waits longer than for a lock or for one cluster to be written to the scratch
 * file, unless when_full is FULL_WAIT. 0, or negative: it has failed, or just did; with wait false
 * also 2: there is no room in memory now, and nothing was done about it. */
struct buffer_room {
	uint8_t *bytes; /* CLUSTER_SIZE */
	void *keep;	/* the buffer's own */
};
int buffer_put(struct buffer *buffer, struct buffer_room *room, bool wait, struct error *err);
void buffer_commit(struct buffer *buffer, struct buffer_room *room, uint32_t drive,
		   uint64_t cluster);
void buffer_give_up(struct buffer *buffer, struct buffer_room *room);
/* A run of zeros that came by an urgent way; no room needed. As buffer_put. */
int buffer_put_zeros(struct buffer *buffer, const struct chunk_zeros *run, bool wait,
		     struct error *err);

/* The other kind. An empty chunk, or NULL: the buffer has failed, or (with wait false) none can
 * be had now. Waits until more than half of the chunks are free and the scratch file is empty. */
struct chunk *buffer_take_empty(struct buffer *buffer, bool wait);
/* Gets memory for the first clusters of such a chunk, before they are written to. */
int buffer_get_memory(const struct buffer *buffer, struct chunk *chunk, uint32_t n_clusters,
		      struct error *err);
void buffer_hand_in(struct buffer *buffer, struct chunk *chunk);

/* No more will come, but for chunks that are to be handed in. */
void buffer_end(struct buffer *buffer);
/* Ends everything: all who wait come back, with *why as the error. The first call counts. */
void buffer_fail(struct buffer *buffer, const struct error *why);
bool buffer_has_failed(const struct buffer *buffer);
/* 0, or what it failed with. */
int buffer_error(struct buffer *buffer, struct error *err);
/* Waits until it has failed; as buffer_error. */
int buffer_await_failure(struct buffer *buffer, struct error *err);

/* For the writer: the next chunk, urgent ones first, one that is not full yet if there is nothing
 * else. 1: taken, 0: no more, negative: failed, 2: nothing now (see buffer_wait). Who holds chunks
 * and waits for more may wait for what he holds himself: when memory is short. */
enum buffer_wait {
	BUFFER_WHOLE,	    /* does not wait, and leaves alone what may yet become more */
	BUFFER_NOW,	    /* does not wait */
	BUFFER_FOR_CHANCES, /* 2: buffer_take_empty may give a chunk */
	BUFFER_FOR_WORK,    /* never 2 */
};
int buffer_next(struct buffer *buffer, struct chunk **out, enum buffer_wait wait,
		struct error *err);
void buffer_release(struct buffer *buffer, struct chunk *chunk);

/* How much of the memory is in use, in thousandths, the scratch file counted as beyond it: up to
 * 1000 memory only, above that it spills. For those who slow themselves down. */
uint32_t buffer_fill(const struct buffer *buffer);
const struct buffer_counts *buffer_counts(const struct buffer *buffer);

#endif
