/*
 * The parts of a snapshot; each file uses only those above it:
 *
 *   snapshot_saved.c   what guests overwrite
 *   snapshot_export.c  what is asked of the server, and what is told to NBD clients
 *   snapshot.c         beginning and end
 */
#ifndef MACHINE_SERVE_SNAPSHOT_PARTS_H
#define MACHINE_SERVE_SNAPSHOT_PARTS_H

#include "machine/options.h"
#include "machine/serve/client_state.h"
#include "machine/serve/instant.h"
#include "machine/serve/options.h"

#define SNAPSHOT_CHANNELS 5u /* one for what guests overwrite, the others to ask */

struct snapshot_drive {
	struct instant instant; /* changed: by the instant */
	struct snapshot *snapshot;
	uint32_t number;
	uint64_t base;		 /* in the scratch file */
	_Atomic uint64_t *saved; /* owned; a bit a cluster: it is in the scratch file */
};

struct snapshot_asking {
	pthread_mutex_t lock; /* one question at a time */
	int channel;
};

struct snapshot {
	const struct serve_options *serve;
	const char *since; /* NULL: no bitmap */
	const struct watcher *watcher;
	struct machine_options machine;
	struct machine *client;
	struct machine_description drives;
	struct snapshot_drive *shown; /* owned; of each drive */
	int scratch;		      /* -1: none */
	struct snapshot_asking asking[SNAPSHOT_CHANNELS - 1];
	atomic_uint turn;
	struct nbdserver *nbd;
	pthread_t taker;
	bool taking;

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t came;  /* something is in the scratch file, or all is lost */
	bool lost;
	struct error why;
};

/* ---- snapshot_saved.c ---- */

/* The thread that puts what comes into the scratch file. context: the snapshot. */
void *snapshot_take(void *context);
bool snapshot_is_saved(const struct snapshot_drive *shown, uint64_t cluster);
/* Until it is in the scratch file, or all is lost. */
void snapshot_await(const struct snapshot_drive *shown, uint64_t cluster);
/* 0 or an errno value. */
int snapshot_read_saved(const struct snapshot_drive *shown, uint64_t cluster, uint8_t *to);
/* From now on every read fails; the first reason counts. */
void snapshot_lose(struct snapshot *snapshot, const struct error *why);
bool snapshot_is_lost(struct snapshot *snapshot);

/* ---- snapshot_export.c ---- */

/* Starts the server for clients. */
int snapshot_serve(struct snapshot *snapshot, struct error *err);

#endif
