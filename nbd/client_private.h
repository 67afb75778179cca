/*
 * Between nbd/client.c and nbd/client_connect.c, the two that know libnbd.
 */
#ifndef NBD_CLIENT_PRIVATE_H
#define NBD_CLIENT_PRIVATE_H

#include "nbd/client.h"

#include <pthread.h>

#define NBDCLIENT_KNOWN_MAX 1024u /* stretches kept of one answer; the rest is asked for again */

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

	/* The last answer about zeros, for the one caller of nbdclient_status. */
	uint64_t known_from; /* byte where the first stretch begins */
	unsigned n_known;
	struct stretch known[NBDCLIENT_KNOWN_MAX];
	/* Two answers that become one, if they are asked for twice. */
	unsigned n_answer[2];
	struct stretch answers[2][NBDCLIENT_KNOWN_MAX];

	/* lock guards which connections are idle; it is not held while one is used. */
	pthread_mutex_t lock;
	pthread_cond_t returned;
	unsigned n_idle;
	struct nbdclient_connection *idle[NBDCLIENT_CONNECTIONS_MAX];
};

/* For how long a server is waited for. The manual pages state it. */
#define CONNECT_MS  15000   /* connecting, the handshake included */
#define MORE_MS	    1000    /* the same, of connections that are a matter of speed */
#define CAPTIVE_MS  60000   /* the same, of a qemu-nbd of ours, which opens the image meanwhile */
#define PATIENCE_MS 120000  /* any answer, when there are questions */
#define LONG_MS	    1800000 /* to flush or to zero, which may write all there is */

/* What libnbd says of the failure in this thread, or instead. */
const char *nbdclient_words(const char *instead);

#endif
