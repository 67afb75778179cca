/*
 * Shared by client.c and client_connect.c, the only files that use libnbd.
 */
#ifndef NBD_CLIENT_PRIVATE_H
#define NBD_CLIENT_PRIVATE_H

#include "nbd/client.h"

#include <pthread.h>

#define NBDCLIENT_KNOWN_MAX 1024u /* stretches kept of one answer; the rest is requested again */

struct nbd_handle;

struct stretch {
	uint64_t end; /* byte */
	bool zero;
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
	bool tells_zeros; /* the server has base:allocation */
	bool whole;	  /* nbdclient_read_whole was called */
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
