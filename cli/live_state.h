/*
 * Between live.c and live_feed.c.
 */
#ifndef CLI_LIVE_STATE_H
#define CLI_LIVE_STATE_H

#include "cli/live.h"

#include <pthread.h>
#include <stdatomic.h>

#define RUNS_MAX 64u /* of data or of zeros, in a chunk */

/* As a message has them, checked. */
struct run {
	uint32_t drive;
	uint64_t cluster, n_clusters;
};

struct runs {
	uint32_t n;
	struct run items[RUNS_MAX];
};

/* One chunk is one piece of work, or several of piece_clusters each: what is given out of it next.
 * Used by the feed's next alone. */
struct current {
	uint32_t index;
	uint32_t n_clusters, n_given;
	struct runs data, zeros;
};

/* What came from the server and is not taken yet. */
enum state { WAITING, CHUNK, DONE, FAILED };

struct live {
	int fd;
	struct json_t *plan; /* owned: what the server returned */
	uint32_t n_drives;
	uint8_t *memory; /* n_chunks of CHUNK_SIZE, mapped */
	uint32_t n_chunks;
	atomic_uint *in_use; /* by chunk: pieces of it that are not given back. Owned */
	uint32_t piece_clusters;
	struct current current;

	pthread_t receiver;
	bool receiving;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	enum state state;
	struct json_t *message; /* CHUNK: owned */
	struct json_t *counts;	/* DONE: owned */
	struct error err;	/* FAILED */
	bool closing;
	void (*give_up)(void *context, const struct error *why);
	void *give_up_context;
};

int live_fail_nonsense(struct error *err);
int live_ask_next(struct live *live, struct error *err);

#endif
