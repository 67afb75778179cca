/*
 * The client of a serve, as a kind of machine (machine/machine.h): what client.c, client_chunks.c
 * and client_watch.c have in common.
 *
 * The server's buffer is mapped into this process, which writes the archive from it. Each thread
 * that wants chunks asks for them over a data channel of its own; a thread more, the watcher, hears
 * over the control socket why the backup has failed.
 */
#ifndef MACHINE_SERVE_CLIENT_STATE_H
#define MACHINE_SERVE_CLIENT_STATE_H

#include "cow/chunks.h"
#include "machine/machine.h"
#include "machine/serve/call.h"

#include <pthread.h>
#include <stdatomic.h>

struct machine {
	const struct machine_options *options;
	const struct watcher *told;
	struct call call;	      /* the control socket */
	struct json_t *plan;	      /* owned: what the server returned */
	struct machine_drive *drives; /* owned; names and paths lie in the plan */
	const char **tokens;	      /* owned array; they lie there, too */
	struct json_t *known;	      /* owned: what the server returned of them; NULL: not asked */
	struct json_t **renewed;      /* owned, as the array: answers with other tokens, or NULL */
	uint32_t n_drives;
	bool snapshot;	 /* chunks are what guests overwrite, and may not come for long */
	uint8_t *memory; /* n_chunks of CHUNK_SIZE, mapped */
	uint32_t n_chunks;
	struct chunk_source source;
	/* By chunk that was lent: pieces of it that are not given back, and one until the server is
	 * told that all are. Owned. */
	atomic_uint *in_use;
	int *channels; /* owned: n_channels data channels */
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
	bool guests_at_work;   /* as the last answer said */
	struct json_t *counts; /* owned: from "done"; all chunks have come */
	bool failed;
	struct error err; /* failed: why */
	bool closing;
};

/* ---- client_since.c, too ---- */

/* Adds the runs of an answer, which begin at *at; moves it on. */
int client_add_runs(const struct json_t *reply, uint64_t *at, uint64_t n_clusters,
		    struct cluster_set *set, struct error *err);

/* ---- client_watch.c ---- */

/* Starts the watcher. */
int client_watch(struct machine *client, struct error *err);
void client_watch_end(struct machine *client);
/* The backup has failed. The first reason counts. */
void client_fail(struct machine *client, const struct error *why);
/* Ends all connections, so that no thread waits for the server. */
void client_cut(const struct machine *client);
/* A data channel has ended: fills in the reason, which comes over the control socket. Negative. */
int client_find_reason(struct machine *client, struct error *err);

/* ---- client_since.c ---- */

/* Before the instant, and before a freeze: what is wanted. */
int client_since(struct machine *client, const struct machine_since *since, struct error *err);
int client_commit(struct machine *client, const struct machine_archive *archive, struct error *err);
int client_changes(struct machine *client, uint32_t i, struct machine_changes *out,
		   struct error *err);
/* Before that: of what the map has by now, and of the drive. */
int client_changes_now(struct machine *client, uint32_t i, const struct machine_since *since,
		       struct machine_changes *out, struct error *err);
int client_look(struct machine *client, uint32_t i, const struct cluster_set *set,
		const struct machine_taker *taker, struct error *err);
int client_distrust(struct machine *client, uint32_t i, struct error *err);

/* ---- client_chunks.c ---- */

struct chunk_source client_chunks(struct machine *client, uint32_t piece_clusters);

#endif
