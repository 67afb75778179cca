/*
 * Shared by client.c and client_connect.c, the only files that use libnbd.
 */
#ifndef NBD_CLIENT_PRIVATE_H
#define NBD_CLIENT_PRIVATE_H

#include "base/library.h"
#include "nbd/client.h"

#include <libnbd.h>
#include <pthread.h>

#ifdef LIBNBD_HAVE_NBD_SET_REQUEST_BLOCK_SIZE
#define NBDCLIENT_NEWER(X) X(nbd_set_request_block_size)
#else
#define NBDCLIENT_NEWER(X)
#endif
#define NBDCLIENT_FUNCTIONS(X)          \
	X(nbd_add_meta_context)         \
	X(nbd_aio_block_status)         \
	X(nbd_aio_command_completed)    \
	X(nbd_aio_connect_socket)       \
	X(nbd_aio_connect_uri)          \
	X(nbd_aio_disconnect)           \
	X(nbd_aio_flush)                \
	X(nbd_aio_get_fd)               \
	X(nbd_aio_in_flight)            \
	X(nbd_aio_is_closed)            \
	X(nbd_aio_is_connecting)        \
	X(nbd_aio_is_dead)              \
	X(nbd_aio_is_negotiating)       \
	X(nbd_aio_is_ready)             \
	X(nbd_aio_opt_abort)            \
	X(nbd_aio_opt_go)               \
	X(nbd_aio_pread)                \
	X(nbd_aio_pread_structured)     \
	X(nbd_aio_pwrite)               \
	X(nbd_aio_zero)                 \
	X(nbd_can_df)                   \
	X(nbd_can_flush)                \
	X(nbd_can_meta_context)         \
	X(nbd_can_multi_conn)           \
	X(nbd_can_zero)                 \
	X(nbd_close)                    \
	X(nbd_create)                   \
	X(nbd_get_errno)                \
	X(nbd_get_error)                \
	X(nbd_get_size)                 \
	X(nbd_is_read_only)             \
	X(nbd_poll)                     \
	X(nbd_set_opt_mode)             \
	X(nbd_set_uri_allow_local_file) \
	NBDCLIENT_NEWER(X)

/* libnbd, loaded by the first connection. */
struct nbdclient_lib {
	NBDCLIENT_FUNCTIONS(LIBRARY_MEMBER)
};
extern struct nbdclient_lib nbdclient_lib;

#define NBDCLIENT_KNOWN_MAX 1024u /* stretches kept of one answer; the rest is requested again */

#define NBDCLIENT_DIRTY 1u /* QEMU's flag of bits that are set in its bitmaps */

struct stretch {
	uint64_t end; /* byte */
	bool zero;    /* or, of a bitmap, set */
};

struct nbdclient_connection {
	struct nbd_handle *handle; /* NULL: it broke */
};

struct nbdclient {
	const char *name; /* borrowed */
	uint64_t size_bytes;
	bool read_only;
	bool can_zero;
	bool can_flush;
	const char *context; /* borrowed: what block status is of */
	uint32_t flag;	     /* of its answers: that of a zero, or of a bit that is set */
	bool tells;	     /* the server has that context */
	bool whole;	     /* nbdclient_read_whole was called */
	const struct nbdclient_hold *hold; /* borrowed; NULL: connections say good-bye */
	unsigned n_connections;
	struct nbdclient_connection connections[NBDCLIENT_CONNECTIONS_MAX];

	/* The last block status answer, for the single caller of nbdclient_status. */
	uint64_t known_from; /* byte where the first stretch begins */
	unsigned n_known;
	struct stretch known[NBDCLIENT_KNOWN_MAX];
	/* With whole: the two answers that are joined into one. */
	unsigned n_answer[2];
	struct stretch answers[2][NBDCLIENT_KNOWN_MAX];

	/* lock guards the list of idle connections; it is not held while one is in use. */
	pthread_mutex_t lock;
	pthread_cond_t returned;
	unsigned n_idle;
	struct nbdclient_connection *idle[NBDCLIENT_CONNECTIONS_MAX];
};

/* How long to wait for a server. The manual pages state these limits. */
#define CONNECT_MS  15000   /* to connect, including the handshake */
#define MORE_MS	    1000    /* the same, for further connections that only add speed */
#define CAPTIVE_MS  60000   /* the same, for our own qemu-nbd, which opens the image meanwhile */
#define PATIENCE_MS 120000  /* for any reply while requests are in flight */
#define LONG_MS	    1800000 /* to flush or to zero, which may write out a whole cache */

/* libnbd's text for the last error of this thread; instead: if it has none. */
const char *nbdclient_words(const char *instead);

#endif
