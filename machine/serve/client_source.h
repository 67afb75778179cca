/*
 * Private to client_checkpoints.c, client_moves.c and client_rebuild.c.
 */
#ifndef MACHINE_SERVE_CLIENT_SOURCE_H
#define MACHINE_SERVE_CLIENT_SOURCE_H

#include "machine/checkpoint.h"
#include "machine/serve/call.h"

struct checkpoint_source {
	const struct machine_options *options;
	const struct watcher *watcher;
	struct call call;
	struct machine *turn; /* owned; a backup that has no instant, to look at the drives */
};

extern const struct checkpoint_moves checkpoint_serve_moves;
extern const struct checkpoint_rebuild checkpoint_serve_rebuild;

#endif
