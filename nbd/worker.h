/*
 * A thread of a connection.
 */
#ifndef NBD_WORKER_H
#define NBD_WORKER_H

#include "nbd/state.h"

struct worker {
	struct connection *connection;
	bool reader;	 /* has the role */
	uint8_t *buffer; /* owned; at its front replies that wait to be sent */
	size_t size;	 /* of buffer */
	size_t used;	 /* bytes of waiting replies */
};

/* What the threads of a connection do, in this order. */
struct worker_steps {
	bool (*handshake)(struct connection *connection);
	/* By whoever is the reader: returns when it has given up the role, or at the end. */
	void (*transmission)(struct worker *worker);
	/* By the last thread; frees the connection. */
	void (*gone)(struct connection *connection);
};

/* Starts the first thread, which does the handshake. steps: borrowed until the end. */
int worker_start(struct connection *connection, const struct worker_steps *steps,
		 struct error *err);
/* Lets another thread read on. The worker must have no replies waiting. */
void worker_give_role(struct worker *worker);
/* Makes buffer as large as wanted, if the server's budget has it; used must be 0. */
void worker_grow(struct worker *worker, size_t wanted);

#endif
