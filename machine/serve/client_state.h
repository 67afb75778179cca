/*
 * Between live.c and live_feed.c.
 */
#ifndef MACHINE_SERVE_CLIENT_STATE_H
#define MACHINE_SERVE_CLIENT_STATE_H

#include "machine/serve/call.h"
#include "machine/serve/client.h"

#include <pthread.h>
#include <stdatomic.h>

struct live {
	struct call server;
	struct json_t *plan; /* owned: what the server returned */
	uint32_t n_drives;
	uint8_t *memory; /* n_chunks of CHUNK_SIZE, mapped */
	uint32_t n_chunks;
	/* By chunk that was lent: pieces of it that are not given back, and one until the server is
	 * told that all are. Owned. */
	atomic_uint *in_use;
	uint32_t piece_clusters;
	int *channels; /* owned: n_channels of them */
	uint32_t n_channels;
	atomic_uint n_taken;	  /* of the channels, by workers */
	atomic_uint n_asking;	  /* threads that wait for an answer */
	_Atomic int64_t heard_ms; /* when the last answer came, or the only question went */

	pthread_t watcher;
	bool watching;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	uint32_t *given_back; /* owned: chunks that the server is still to be told of */
	uint32_t n_given_back;
	bool guests_at_work;   /* as the last answer had it */
	struct json_t *counts; /* owned: from "done" */
	bool failed;
	struct error err; /* failed: why */
	bool closing;
	const struct watcher *told;
};

/* A channel for one worker, or -1: there are no more. */
int live_take_channel(struct live *live);
/* Asks for the next chunk. 1: what came, owned by the caller; 0: there is no more; negative. */
int live_ask(struct live *live, int channel, struct json_t **chunk, struct error *err);
/* Once for each piece. Any thread. */
void live_give_back(struct live *live, uint32_t chunk);

#endif
