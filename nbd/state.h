/*
 * The state of the NBD server, which its files share. Each file uses only those above it:
 *
 *   protocol.h      the numbers of the protocol
 *   state.h         this
 *   socket.c        bytes of a socket, with the deadline of the handshake; the log
 *   tls.c           GnuTLS; psk.c and tls_memory.c belong to it
 *   stream.c        bytes in and out, plain or through TLS
 *   worker.c        threads of a connection, and which of them reads
 *   reply.c         what goes to the client
 *   exports.c       what is served
 *   context.c       metadata contexts: selecting and querying them
 *   handshake.c     options
 *   check.c         what a request may ask for
 *   perform.c       executing requests on the export
 *   read.c          reads
 *   transmission.c  receiving and answering requests
 *   listen.c        places to listen at
 *   server.c        connections; starting and stopping
 *
 * A file that needs one further down gets pointers: worker.c to handshake and transmission,
 * listen.c to what takes a connected socket over.
 */
#ifndef NBD_STATE_H
#define NBD_STATE_H

#include "nbd/server.h"

#include <pthread.h>
#include <stdatomic.h>

#define LISTENERS_MAX 8u
#define CONTEXTS_MAX  32u /* of a connection */

#define PAYLOAD_MAX 33554432u /* bytes: of a read or write, unless the export takes less */
#define INPUT_BYTES 131072u   /* of a connection: requests received together */
#define CHUNK_BYTES 262144u   /* of a long read: small enough for the processor's caches */
#define PIECE_BYTES \
	1048576u /* of a thread: longer requests are done in pieces if memory is short */

struct tls;
struct tls_session;
struct listener;

struct nbdserver {
	struct nbdserver_export *exports; /* owned copy */
	unsigned n_exports;
	unsigned n_clients_max, n_handshakes_max;
	int64_t handshake_ms;
	void (*log)(void *context, const char *text);
	void *log_context;
	struct tls *tls; /* NULL: plain */
	int stop_fd;	 /* an eventfd: readable once the server stops */
	_Atomic bool stopping;
	_Atomic size_t large_bytes; /* buffers of threads that have grown */

	/* lock guards what follows; never held across a wait for anything else or a callback. */
	pthread_mutex_t lock;
	pthread_cond_t gone; /* a connection has ended */
	unsigned n_connections, n_seen;
	unsigned n_clients; /* connections past their handshake */
	unsigned n_cut; /* connections in their handshake that were cut and have not ended yet */
	struct connection *connections;
	unsigned *users; /* connections of each export */

	/* Used only by the thread that calls listen and stop. */
	unsigned n_listeners;
	struct listener *listeners[LISTENERS_MAX];
};

/* A metadata context that the client selected. Its id for the client is its index. */
struct context {
	bool allocation; /* otherwise the export's bitmap of that number */
	unsigned bitmap;
};

struct connection {
	struct nbdserver *server;
	struct connection *next, **link; /* guarded by server->lock */
	unsigned number;		 /* for the log */
	bool is_client, cut;		 /* guarded by server->lock, as counted there */
	int fd;
	int64_t began_ms;
	int64_t deadline_ms; /* of the handshake; 0: it is over */
	struct tls_session *tls;

	/* Set by the handshake; constant after it. */
	const struct nbdserver_export *export;
	bool structured, fixed, no_zeroes;
	unsigned n_contexts;
	struct context contexts[CONTEXTS_MAX];
	const struct nbdserver_export *contexts_of; /* the export they were selected for */

	/* Belongs to the thread that has the reader's role. */
	uint8_t *input;
	size_t input_at, input_end;
	bool large_writes; /* the last request was one: receive no more than a request's header */

	pthread_mutex_t send_lock; /* one reply at a time */

	const struct worker_steps *steps;
	/* lock guards what follows. */
	pthread_mutex_t lock;
	pthread_cond_t role_free;
	bool has_reader, ended;
	unsigned n_threads, n_idle;
};

struct request {
	unsigned flags, command;
	uint8_t cookie[8];
	uint64_t offset;
	uint32_t length;
};

#endif
