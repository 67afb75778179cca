/*
 * The state of the NBD server, and what its files offer each other. Each file uses only those above
 * it:
 *
 *   protocol.h      the numbers of the protocol
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
#include <sys/types.h>
#include <sys/uio.h>

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
	uint64_t n_come;    /* that ever were */
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
	size_t input_at, input_end;
	bool large_writes; /* the last request was one: receive no more than a request's header */

	pthread_mutex_t send_lock; /* one reply at a time */

	const struct worker_steps *steps;
	/* lock guards what follows. */
	pthread_mutex_t lock;
	pthread_cond_t role_free;
	bool has_reader, ended;
	unsigned n_threads, n_idle;

	uint8_t input[]; /* INPUT_BYTES; the reader's */
};

struct request {
	unsigned flags, command;
	uint8_t cookie[8];
	uint64_t offset;
	uint32_t length;
};

/* ---- socket.c ---- */

void server_log(const struct nbdserver *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void connection_log(const struct connection *connection, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Until the handshake's deadline. Bytes, 0 at the end, or -1. */
ssize_t connection_receive(struct connection *connection, void *to, size_t n);
ssize_t connection_send(struct connection *connection, const struct iovec *parts, unsigned n);
/* Shuts both directions down, so that the reader notices that the connection is lost. */
void connection_cut(struct connection *connection);

/* ---- tls.c, with psk.c and tls_memory.c below it ---- */

/* The keys of --tls-psk, read once: GnuTLS would read the file in every handshake, and crashes
 * there when memory runs out (seen with 3.7.9). */
struct psk {
	struct psk *next;
	size_t name_size, key_size;
	uint8_t bytes[]; /* the name, then the key */
};

/* A file of USER:HEXKEY lines, as psktool writes it. On success *out has at least one key. */
int psk_read(struct psk **out, const char *path, struct error *err);
/* NULL: no such user. */
const struct psk *psk_find(const struct psk *keys, const void *name, size_t size);
void psk_free(struct psk *keys); /* NULL-safe */

/* From now on GnuTLS waits for memory instead of ending the program. */
int tls_memory_start(struct error *err);
/* Before a thread's first call of GnuTLS for a session. */
void tls_memory_prepare_thread(void);

int tls_new(struct tls **out, const struct nbdserver_tls *options, struct error *err);
void tls_free(struct tls *tls); /* NULL-safe */
/* Does the TLS handshake and sets connection->tls. False: it failed; the log says why. */
bool tls_accept(struct tls *tls, struct connection *connection);
ssize_t tls_receive(struct tls_session *session, void *to, size_t n);
ssize_t tls_send(struct tls_session *session, const void *from, size_t n);
void tls_close(struct tls_session *session); /* NULL-safe */

/* ---- stream.c ---- */

/* Some bytes; 0: the connection has ended. */
size_t stream_receive_some(struct connection *connection, void *to, size_t n);
/* True: all n bytes were transferred. */
bool stream_receive(struct connection *connection, void *to, size_t n);
/* Changes parts. The caller holds send_lock, or is the only thread. */
bool stream_send_parts(struct connection *connection, struct iovec *parts, unsigned n);
bool stream_send(struct connection *connection, const void *from, size_t n);

/* ---- worker.c ---- */

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

/* ---- reply.c: replies are collected at the front of the worker's buffer, and sent together before
 * the worker waits for anything ---- */

/* To an option, in the handshake. */
bool reply_option(struct connection *connection, uint32_t option, uint32_t type, const void *data,
		  size_t n);

void reply_put_simple(uint8_t *out, const struct request *request, int error);
void reply_put_structured(uint8_t *out, const struct request *request, unsigned flags,
			  unsigned type, uint32_t n);
/* Sends waiting replies and then these parts, at most 2, in one piece. */
void reply_send(struct worker *worker, const struct iovec *parts, unsigned n);
void reply_send_waiting(struct worker *worker);
/* Room for another reply after the waiting ones. */
uint8_t *reply_room(struct worker *worker, size_t n);
/* The reply in the room is complete. It is sent when the worker has no further request at hand. */
void reply_ready(struct worker *worker, size_t n);
void reply_error(struct worker *worker, const struct request *request, int error);
/* For requests whose only answer is whether they worked. */
void reply_result(struct worker *worker, const struct request *request, int error);

/* ---- exports.c ---- */

/* Copies them into the server and fills in defaults. */
int exports_take(struct nbdserver *server, const struct nbdserver_export *exports, unsigned n,
		 struct error *err);
/* NULL: no export has that name. */
const struct nbdserver_export *exports_find(const struct nbdserver *server, const uint8_t *name,
					    size_t n);
/* From now on the connection uses that export and counts as a client. False: too many clients. */
bool exports_use(struct connection *connection, const struct nbdserver_export *export);

/* ---- context.c ---- */

/* The data of OPT_LIST_META_CONTEXT and OPT_SET_META_CONTEXT. */
bool context_option(struct connection *connection, uint32_t option, const uint8_t *data, size_t n);
/* Descriptors of a range, at most max, into out: how many, or minus an errno value. */
int context_ask(const struct connection *connection, unsigned context, uint64_t offset,
		uint64_t length, uint8_t *out, unsigned max);

/* ---- handshake.c ---- */

/* True: on to transmission, with connection->export set. */
bool handshake_run(struct connection *connection);

/* ---- check.c ---- */

/* 0, or the errno value that answers it. */
int check_request(const struct connection *connection, const struct request *request);

/* ---- perform.c ---- */

/* From this size on, copying takes longer than waking another thread that reads on. */
#define PARALLEL_BYTES 65536u
#define SMALL_BYTES    16384u /* up to this size, data is collected in buffers */

struct operation {
	unsigned command, flags; /* enum nbdserver_flags */
	uint64_t offset, n;
	void *data;
};

/* Immediately, or after handing the reader's role to another thread if that would block. */
int perform(struct worker *worker, struct operation *op);
/* On this thread, even if it blocks. more: further flags. */
int perform_here(const struct nbdserver_export *export, const struct operation *op, unsigned more);
/* Hands the reader's role to another thread. The caller must not use connection->input afterwards.
 */
void perform_aside(struct worker *worker);

/* ---- read.c ---- */

void read_request(struct worker *worker, const struct request *request);

/* ---- transmission.c ---- */

/* Answers requests until the worker gives up the reader's role or the connection ends. */
void transmission_run(struct worker *worker);

/* ---- listen.c ---- */

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
