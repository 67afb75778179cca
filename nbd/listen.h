/*
 * A place to listen at, and a thread that accepts there.
 */
#ifndef NBD_LISTEN_H
#define NBD_LISTEN_H

#include "nbd/state.h"

/* What to do with connected sockets. */
struct listen_steps {
	/* Takes the socket over, even when it fails. */
	int (*adopt)(struct nbdserver *server, int fd, struct error *err);
	/* Called when no more can be accepted: drops one. */
	void (*make_room)(struct nbdserver *server);
};

/* Adds it to the server. */
int listen_open(struct nbdserver *server, const char *place, bool plain_loopback,
		const struct listen_steps *steps, struct error *err);
void listen_close(struct listener *listener); /* after stop_fd: waits for its thread */

#endif
