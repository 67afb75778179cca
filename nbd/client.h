/*
 * What is at the other end of NBD connections: drives that are read, targets that are written. All
 * is built on libnbd, which this file's .c alone knows; without it only nbdclient_is_uri is there,
 * and an nbdclient_knock that nobody answers.
 */
#ifndef NBD_CLIENT_H
#define NBD_CLIENT_H

#include "base/error.h"

struct nbdclient;

#define NBDCLIENT_CONNECTIONS_MAX 4u

/* nbd://, nbds://, nbd+unix://, nbds+unix:// and the like, of either case. */
bool nbdclient_is_uri(const char *text);

/* Takes over connected sockets of one server, at most NBDCLIENT_CONNECTIONS_MAX, and sets their
 * places to -1, whether it succeeds or not. More than the first are used if the server says that
 * several connections see the same. name is for messages, borrowed. */
int nbdclient_new(struct nbdclient **out, const char *name, int *sockets, unsigned n_sockets,
		  struct error *err);
/* Connects as a URI says, which is borrowed and also the name. A server that does not answer is
 * given up after 15 s. With nbds: TLS or nothing. */
int nbdclient_connect(struct nbdclient **out, const char *uri, struct error *err);
void nbdclient_free(struct nbdclient *client); /* NULL-safe */
/* Shakes hands with a server and leaves, in order, for a server of one thread: after it the server
 * has seen the end of all connections that had ended before. False: it did not answer in time. */
bool nbdclient_knock(const char *uri, int patience_ms);

uint64_t nbdclient_size(const struct nbdclient *client); /* bytes */
bool nbdclient_is_read_only(const struct nbdclient *client);

/* For a snapshot that QEMU keeps while its drive is written to. It looks for holes first and then
 * reads or answers, and a write in between can have it take for a hole what was none. So each read
 * is asked for in one piece, without a look for holes, and what is told to be zeros counts when it
 * is told twice, one time after the other: what was written in between is data by then. Before
 * anything is read. ERR_UNSUPPORTED when the server cannot. */
int nbdclient_read_whole(struct nbdclient *client, struct error *err);

/* n bytes at offset, within the size. Any thread; each call keeps several requests in flight. A
 * server that answers none of them for 120 s is given up, when it has to zero or flush for 1800 s.
 * ERR_FULL when it has no room left. */
int nbdclient_read(struct nbdclient *client, uint64_t offset, void *buffer, size_t n,
		   struct error *err);
int nbdclient_write(struct nbdclient *client, uint64_t offset, const void *buffer, size_t n,
		    struct error *err);
/* Holes are welcome. */
int nbdclient_zero(struct nbdclient *client, uint64_t offset, uint64_t n, struct error *err);
/* All that was written is durable after it. */
int nbdclient_flush(struct nbdclient *client, struct error *err);

/* As drive_status: whether offset reads as zeros without being read, and for how many bytes. One
 * caller at a time. */
int nbdclient_status(struct nbdclient *client, uint64_t offset, uint64_t *n, bool *zero,
		     struct error *err);

#endif
