/*
 * What the parts of the buffer share. Private to cow/buffer*.c; the essay is in buffer.c.
 */
#ifndef COW_BUFFER_STATE_H
#define COW_BUFFER_STATE_H

#include "cow/buffer.h"
#include "cow/buffer_spill.h"

#include <assert.h>
#include <pthread.h>

#define N_BOUNCES 8u
#define RUNS_MAX  16384u /* of zeros, waiting */
#define MIB	  1048576u

static_assert(CHUNK_CLUSTERS == 64, "a bit for each in 64 bits");

struct slot {
	struct chunk chunk; /* the first member */
	uint64_t taken, filled;
	uint64_t backed; /* clusters that have memory; of whoever has the chunk */
	struct slot *next;
};

struct queue {
	struct slot *first, *last;
};

/* A room whose cluster goes to the scratch file. */
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
	struct slot *slots;
	struct bounce *bounces;

	pthread_mutex_t lock;
	pthread_cond_t room; /* something was freed, or it failed */
	pthread_cond_t work; /* something came, or was freed, or it ended or failed */
	pthread_cond_t failure;
	struct slot *free;
	uint32_t n_free;
	struct slot *filling;
	uint32_t n_closed;
	uint32_t n_passing; /* with the pass: will be handed in */
	struct queue urgent, passed;
	struct chunk_zeros *runs; /* a stack */
	uint32_t n_runs;
	struct spill *spill; /* NULL: none */
	bool spill_broken;
	bool reading_back; /* by one at a time */
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

/* Has memory made for n clusters of a chunk from first on. It would be made when it is touched, but
 * where there is none (with strict overcommit) the kernel then ends the program by SIGBUS. */
int buffer_back(const struct buffer *buffer, struct slot *slot, unsigned first, unsigned n,
		struct error *err);
/* A chunk from the free ones, or NULL. */
struct slot *buffer_take_free_locked(struct buffer *buffer);
/* No more rooms in the chunk that is being filled. */
void buffer_close_locked(struct buffer *buffer);
/* The owner of a room is done with it. */
void buffer_room_done_locked(struct buffer *buffer, struct slot *slot);
void buffer_fail_locked(struct buffer *buffer, const struct error *why);
/* 0, or what it failed with. */
int buffer_result_locked(const struct buffer *buffer, struct error *err);

#endif
