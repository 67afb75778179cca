/*
 * A thread of a connection.
 */
#ifndef NBD_WORKER_H
#define NBD_WORKER_H

#include "nbd/state.h"

struct worker {
	struct connection *connection;
	bool reader;	 /* has the reader's role */
	uint8_t *buffer; /* owned; begins with replies waiting to be sent */
	size_t size;	 /* of buffer */
	size_t used;	 /* bytes of waiting replies */
};

/* What the threads of a connection do, in this order. */
struct worker_steps {
	bool (*handshake)(struct connection *connection);
	/* Run by the reader; returns when it has given up the role, or at the end. */
	void (*transmission)(struct worker *worker);
	/* Run by the last thread; frees the connection. */
	void (*gone)(struct connection *connection);
};

/* Starts the first thread, which does the handshake. steps: borrowed until the connection ends. */
int worker_start(struct connection *connection, const struct worker_steps *steps,
		 struct error *err);
/* Hands the reader's role to another thread. The worker must have no replies waiting. */
void worker_give_role(struct worker *worker);
/* Makes buffer at least wanted bytes large if the server's budget allows; used must be 0. */
void worker_grow(struct worker *worker, size_t wanted);

#endif
