/*
 * Private to client_checkpoints.c and client_moves.c.
 */
#ifndef MACHINE_SERVE_CLIENT_SOURCE_H
#define MACHINE_SERVE_CLIENT_SOURCE_H

#include "machine/checkpoint.h"
#include "machine/serve/call.h"

struct checkpoint_source {
	const struct machine_options *options;
	const struct watcher *watcher;
	struct call call;
};

extern const struct checkpoint_moves checkpoint_serve_moves;

#endif
