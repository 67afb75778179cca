/*
 * A client of NBD servers, for drives that are read and targets that are written. It is built on
 * libnbd; without it only nbdclient_is_uri exists, and an nbdclient_knock that always fails.
 */
#ifndef NBD_CLIENT_H
#define NBD_CLIENT_H

#include "base/error.h"

struct nbdclient;

/* For a server that must not see a client hang up, whatever becomes of it (machine/held.h). Each
 * socket is given to somebody who keeps a duplicate open, before the server connects it to an
 * export; and no connection says good-bye. */
struct nbdclient_hold {
	int (*keep)(void *context, int fd, struct error *err); /* borrowed: the caller's end */
	void *context;
	unsigned n_each; /* connections to a drive, at most */
};

#define NBDCLIENT_CONNECTIONS_MAX 4u

/* nbd://, nbds://, nbd+unix://, nbds+unix:// and the like, in upper or lower case. */
bool nbdclient_is_uri(const char *text);

/* Takes over connected sockets of one server, at most NBDCLIENT_CONNECTIONS_MAX, and sets them to
 * -1, whether it succeeds or not. It uses more than the first only if the server announces that all
 * connections see the same data. name is for messages, borrowed. */
int nbdclient_new(struct nbdclient **out, const char *name, int *sockets, unsigned n_sockets,
		  struct error *err);
/* Connects to a URI, which is borrowed and also the name; more than once to a large drive, on the
 * same condition. Gives up after 15 s without an answer. nbds requires TLS. */
int nbdclient_connect(struct nbdclient **out, const char *uri, struct error *err);
/* The same, held. NULL: not held. */
int nbdclient_connect_held(struct nbdclient **out, const char *uri,
			   const struct nbdclient_hold *hold, struct error *err);
/* One connection, only for nbdclient_status, which answers whether a bit is set in a bitmap that
 * the server exports as this context, "qemu:dirty-bitmap:NAME", borrowed. ERR_UNSUPPORTED: it has
 * no such bitmap. */
int nbdclient_connect_bitmap(struct nbdclient **out, const char *uri, const char *context,
			     const struct nbdclient_hold *hold, struct error *err);
void nbdclient_free(struct nbdclient *client); /* NULL-safe */
/* Does the handshake with a server and disconnects. A server with one thread has then seen the end
 * of every connection that had ended before. False: it did not answer in time. */
bool nbdclient_knock(const char *uri, int patience_ms);
/* Of a connection whose client is dead, or gave up, and which may be in the midst of its handshake:
 * the server then ends it. One that is past its handshake only gets some more requests. */
void nbdclient_spoil(int fd);

uint64_t nbdclient_size(const struct nbdclient *client); /* bytes */
/* ERR_USAGE: it is read-only; or, with durable, it cannot flush, so that nobody would know when what
 * was written is on its disk. */
int nbdclient_check_writable(const struct nbdclient *client, bool durable, struct error *err);
/* Whether the server announces that all clients see the same data, and that a flush by one is one
 * of what all of them have written. */
bool nbdclient_is_coherent(const struct nbdclient *client);

/* For a snapshot that QEMU keeps while the guest writes to the drive. QEMU looks for holes first
 * and reads or answers afterwards, and a write in between can make it report a hole where there was
 * data. So each read is requested in one piece, which makes QEMU read without looking for holes,
 * and zeros count only if two answers in a row report them: a range written in between is data by
 * then. To be called before anything is read. ERR_UNSUPPORTED: the server cannot. */
int nbdclient_read_whole(struct nbdclient *client, struct error *err);

/* n bytes at offset, within the size. Any thread; each call keeps several requests in flight, and
 * gives up when the server answers none of them for 120 s, or for 1800 s if it has to zero or
 * flush. ERR_FULL: the server has no room left. */
int nbdclient_read(struct nbdclient *client, uint64_t offset, void *buffer, size_t n,
		   struct error *err);
int nbdclient_write(struct nbdclient *client, uint64_t offset, const void *buffer, size_t n,
		    struct error *err);
/* The server may make holes. */
int nbdclient_zero(struct nbdclient *client, uint64_t offset, uint64_t n, struct error *err);
/* Makes everything written so far durable. */
int nbdclient_flush(struct nbdclient *client, struct error *err);

/* As drive_status: whether offset reads as zeros without being read, and for how many bytes. One
 * caller at a time. */
int nbdclient_status(struct nbdclient *client, uint64_t offset, uint64_t *n, bool *zero,
		     struct error *err);

#endif
