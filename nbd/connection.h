/*
 * What the files of the NBD server share. Private to cow/nbd/.
 *
 *   server.c        exports, the list of connections, stopping
 *   listen.c        sockets, accepting
 *   connection.c    bytes in and out, plain or TLS
 *   worker.c        threads of a connection, and who of them reads
 *   tls.c           GnuTLS
 *   handshake.c     options
 *   context.c       metadata contexts: choosing them, asking them
 *   transmission.c  requests; read.c, check.c and reply.c belong to it
 */
#ifndef NBD_CONNECTION_H
#define NBD_CONNECTION_H

#include "base/clock.h"
#include "nbd/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <sys/uio.h>

#define THREADS_MAX   16u /* of a connection, and so requests of it that wait at once */
#define LISTENERS_MAX 8u
#define CONTEXTS_MAX  32u /* of a connection */

#define PAYLOAD_MAX  33554432u	/* bytes: of a read or write, unless the export takes less */
#define INPUT_BYTES  131072u	/* of a connection: requests that came together */
#define BUFFER_BYTES 131072u	/* of a thread, at least */
#define CHUNK_BYTES  262144u	/* of a long read: small enough to stay in the cache */
#define PIECE_BYTES  1048576u	/* of a thread: longer requests go by pieces if memory is short */
#define KEEP_BYTES   4194304u	/* of a thread, when writes are long */
#define LARGE_BUDGET 268435456u /* bytes of larger buffers in the whole server */

struct tls;
struct tls_session;
struct listener;

struct nbdserver {
	struct nbdserver_export *exports; /* owned copy */
	unsigned n_exports;
	unsigned n_clients_max, n_handshakes_max;
	uint64_t handshake_ms;
	void (*log)(void *context, const char *text);
	void *log_context;
	struct tls *tls; /* NULL: plain */
	int stop_fd;	 /* an eventfd: readable once the server stops */
	_Atomic bool stopping;
	_Atomic size_t large_bytes; /* buffers beyond BUFFER_BYTES, all threads */

	/* lock guards what follows; it is never held while anything waits or is called. */
	pthread_mutex_t lock;
	pthread_cond_t gone; /* a connection has ended */
	unsigned n_connections, n_seen;
	unsigned n_clients; /* of them, past the handshake */
	unsigned n_cut;	    /* in the handshake, and told to end */
	struct connection *connections;
	unsigned *users; /* connections of each export */

	/* Used by the caller of listen and stop alone. */
	unsigned n_listeners;
	struct listener *listeners[LISTENERS_MAX];
};

/* A metadata context that the client chose. Its number for the client is its place. */
struct context {
	bool allocation; /* else the export's bitmap number */
	unsigned bitmap;
};

struct connection {
	struct nbdserver *server;
	struct connection *next, **link; /* guarded by server->lock */
	unsigned number;		 /* for the log */
	bool is_client, cut;		 /* guarded by server->lock, as counted there */
	int fd;
	uint64_t began_ms;    /* by the monotonic clock */
	uint64_t deadline_ms; /* of the handshake; 0: it is over */
	struct tls_session *tls;

	/* What the handshake found; constant after it. */
	const struct nbdserver_export *export;
	bool structured, fixed, no_zeroes;
	unsigned n_contexts;
	struct context contexts[CONTEXTS_MAX];
	const struct nbdserver_export *contexts_of; /* the export they were chosen for */

	/* Of the thread that has the role of the reader. */
	uint8_t *input;
	size_t input_at, input_end;
	bool large_writes; /* the last request was one: take no more than a request's head */

	pthread_mutex_t send_lock; /* one reply at a time */

	/* lock guards the roles. */
	pthread_mutex_t lock;
	pthread_cond_t role_free;
	bool has_reader, ended;
	unsigned n_threads, n_idle;
};

/* ---- server.c ---- */

/* Takes over a connected socket; starts its first thread. Waits for a place if need be. */
int server_adopt(struct nbdserver *server, int fd, struct error *err);
/* Has the oldest connection that is still in its handshake end, but not a young one. */
void server_cut_oldest(struct nbdserver *server);
/* The connection has an export from now on, and counts as a client. False: there is no room. */
bool server_use(struct connection *connection, const struct nbdserver_export *export);
/* The last thing that is done with a connection. */
void server_forget(struct connection *connection);
void server_log(const struct nbdserver *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
const struct nbdserver_export *server_find(const struct nbdserver *server, const uint8_t *name,
					   size_t n);

/* ---- listen.c ---- */

void listener_close(struct listener *listener); /* after stop_fd: waits for its thread */

/* ---- connection.c ---- */

void connection_log(const struct connection *connection, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* By the socket, with the deadline of the handshake: bytes, 0 at the end, -1. */
ssize_t connection_receive(struct connection *connection, void *to, size_t n);
ssize_t connection_send(struct connection *connection, const struct iovec *parts, unsigned n);

/* Through TLS if there is. Some bytes; 0: no more will come. */
size_t receive_some(struct connection *connection, void *to, size_t n);
/* True if all came, or went. */
bool receive_all(struct connection *connection, void *to, size_t n);
/* Changes parts. The caller has send_lock, or is alone. */
bool send_parts(struct connection *connection, struct iovec *parts, unsigned n);
bool send_all(struct connection *connection, const void *from, size_t n);

/* ---- worker.c ---- */

/* A thread of a connection. */
struct worker {
	struct connection *connection;
	bool reader;	 /* has the role */
	uint8_t *buffer; /* owned; at its front replies that wait to be sent */
	size_t size;	 /* of buffer */
	size_t used;	 /* bytes of waiting replies */
};

/* Starts the first thread, which does the handshake. */
int connection_start(struct connection *connection, struct error *err);
/* Lets another thread read on. The worker must have no replies waiting. */
void give_role(struct worker *worker);
/* Makes buffer as large as wanted, if the server's budget has it; used must be 0. */
void worker_grow(struct worker *worker, size_t wanted);

/* ---- tls.c ---- */

/* From here on computing waits for memory, where the library would abort the program. */
void tls_memory_start(void);
int tls_new(struct tls **out, const struct nbdserver_tls *options, struct error *err);
void tls_free(struct tls *tls); /* NULL-safe */
/* The TLS handshake; sets connection->tls. False: it failed, and why is in the log. */
bool tls_accept(struct tls *tls, struct connection *connection);
ssize_t tls_receive(struct tls_session *session, void *to, size_t n);
ssize_t tls_send(struct tls_session *session, const void *from, size_t n);
void tls_close(struct tls_session *session); /* NULL-safe */

/* ---- handshake.c ---- */

/* True: on to transmission, with connection->export set. */
bool handshake(struct connection *connection);

/* ---- context.c ---- */

/* The data of OPT_LIST_META_CONTEXT and OPT_SET_META_CONTEXT. */
bool context_option(struct connection *connection, uint32_t option, const uint8_t *data, size_t n);
/* Descriptors of a range, at most max, into out: how many, or minus an errno value. */
int context_ask(const struct connection *connection, unsigned context, uint64_t offset,
		uint64_t length, uint8_t *out, unsigned max);
bool option_reply(struct connection *connection, uint32_t option, uint32_t type, const void *data,
		  size_t n);

/* ---- transmission.c ---- */

/* Answers requests until the worker has given up the role of the reader. */
void transmission(struct worker *worker);

#endif
