/*
 * What the parts of the buffer share. Private to cow/buffer*.c; the essay is in buffer.c.
 */
#ifndef COW_BUFFER_STATE_H
#define COW_BUFFER_STATE_H

#include "cow/buffer.h"

#include <assert.h>
#include <pthread.h>

/* ---- buffer_spill.c ----
 *
 * The spill file behind the buffer, a queue of clusters. Callers hold the buffer's lock, except in
 * spill_write and spill_read.
 */

struct spill;

/* An unnamed file in folder, of at most size_bytes. */
int spill_new(struct spill **out, const char *folder, uint64_t size_bytes, struct error *err);
void spill_free(struct spill *spill); /* NULL-safe */

/* A place for one cluster, which the caller writes and then settles. False: full. */
bool spill_reserve(struct spill *spill, uint64_t *place);
int spill_write(struct spill *spill, uint64_t place, const uint8_t *bytes); /* 0 or errno */
/* The result of writing to a place; good: it holds the cluster. */
void spill_settle(struct spill *spill, uint64_t place, uint32_t drive, uint64_t cluster, bool good);

/* The number of settled clusters at the head of the queue that can be read at once, at most max. */
uint32_t spill_ready(struct spill *spill, uint32_t max);
/* Reads the first n of them and frees their disk space. Fails unless every byte is as it was
 * written. */
int spill_read(struct spill *spill, uint32_t n, uint8_t *bytes, struct error *err);
void spill_look(const struct spill *spill, uint32_t i, uint32_t *drive, uint64_t *cluster);
void spill_forget(struct spill *spill, uint32_t n);

const char *spill_folder(const struct spill *spill); /* for messages; borrowed */
/* Places reserved and not yet forgotten, and the most there can be. */
uint64_t spill_used(const struct spill *spill);
uint64_t spill_places(const struct spill *spill);

/* ---- buffer.c ---- */

#define N_BOUNCES 8u
#define RUNS_MAX  16384u /* pending runs of zeros */
#define MIB	  1048576u

static_assert(CHUNK_CLUSTERS == 64, "taken, filled and backed have a bit for each cluster");

struct buffer_slot {
	struct chunk chunk; /* the first member */
	uint64_t taken, filled;
	uint64_t backed; /* clusters that have memory; belongs to the holder of the chunk */
	struct buffer_slot *next;
};

struct queue {
	struct buffer_slot *first, *last;
};

/* A room whose cluster goes to the spill file. */
struct bounce {
	struct bounce *next;
	uint64_t place;
	uint8_t bytes[CLUSTER_SIZE];
};

struct buffer {
	/* Constant. */
	uint32_t n_chunks;
	enum when_full when_full;
	int fd;
	uint8_t *memory;
	struct buffer_slot *slots;
	struct bounce *bounces;

	pthread_mutex_t lock;
	pthread_cond_t room; /* signalled when something was freed, or the buffer failed */
	pthread_cond_t work; /* also when work came, or the buffer ended */
	pthread_cond_t failure;
	struct buffer_slot *free;
	uint32_t n_free;
	struct buffer_slot *filling;
	uint32_t n_closed;
	uint32_t n_passing; /* held by the pass, which will hand them in */
	struct queue urgent, passed;
	struct chunk_zeros *runs; /* a stack */
	uint32_t n_runs;
	struct spill *spill; /* NULL: none */
	bool spill_broken;
	bool reading_back; /* one thread at a time */
	struct bounce *free_bounce;
	bool ended;
	struct error why;
	atomic_bool failed; /* set under the lock, why before it */
	struct buffer_counts counts;
};

static inline unsigned lowest(uint64_t bits)
{
	return (unsigned)__builtin_ctzll(bits);
}

/* Allocates memory for n clusters of a chunk, from first on. Without this call, pages would be
 * allocated on first touch; if none can be, the kernel would kill the program with SIGBUS. */
int buffer_back(const struct buffer *buffer, struct buffer_slot *slot, unsigned first, unsigned n,
		struct error *err);
/* A free chunk, or NULL. */
struct buffer_slot *buffer_take_free_locked(struct buffer *buffer);
/* Gives out no more rooms of the chunk that is being filled. */
void buffer_close_locked(struct buffer *buffer);
/* The owner of a room has committed it or given it up. */
void buffer_room_done_locked(struct buffer *buffer, struct buffer_slot *slot);
void buffer_fail_locked(struct buffer *buffer, const struct error *why);
/* 0, or the error it failed with. */
int buffer_result_locked(const struct buffer *buffer, struct error *err);

#endif
