/*
 * An NBD server for any number of exports. Source: the NBD protocol document (doc/proto.md of the
 * NetworkBlockDevice project): fixed newstyle negotiation, simple and structured replies, block
 * status.
 *
 * Exports provide functions; the server does not know where the data is kept or what happens to it
 * on the way. Clients are not trusted: whatever a client sends costs it at most its own connection.
 *
 * Memory: at most 256 MiB for long requests in the whole server, plus 128 KiB for each connection
 * and for each of its threads, at most 16. Writes of up to 1 MiB reach the export in one call
 * unless that memory is used up; longer ones may take several.
 *
 * Connections in their handshake have places of their own: 256, or fewer if the process may not
 * open many files. When all are taken the oldest is dropped, but not within its first half second.
 */
#ifndef NBD_SERVER_H
#define NBD_SERVER_H

#include "base/error.h"

struct nbdserver;

enum nbdserver_flags {
	NBDSERVER_FUA = 1,	/* durable before the reply */
	NBDSERVER_MAY_TRIM = 2, /* write zeroes: holes are welcome */
	NBDSERVER_FAST = 4,	/* write zeroes: ENOTSUP unless faster than writing */
	NBDSERVER_NOW =
		8, /* EAGAIN rather than block; the call is then repeated without this flag */
};

/* What an export can do; NULL: it cannot, and clients are told so. Called from any thread, several
 * at the same time; ranges lie within the export; they return 0 or an errno value (those without a
 * number in NBD are sent as EIO or EINVAL). */
struct nbdserver_ops {
	int (*read)(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags);
	int (*write)(void *context, uint64_t offset, const void *from, uint32_t n, unsigned flags);
	int (*zero)(void *context, uint64_t offset, uint64_t n, unsigned flags);
	int (*trim)(void *context, uint64_t offset, uint64_t n, unsigned flags);
	int (*flush)(void *context, unsigned flags);
	/* base:allocation, from offset on: whether it reads as zeros, and for how many bytes. */
	int (*status)(void *context, uint64_t offset, uint64_t *n, bool *zero);
	/* Before all that status has said for a reply goes out, if it has to be asked whether that
	 * still counts. That takes long, and is part of each read, too: so reads are done whole, as
	 * far as there is memory. */
	int (*confirm)(void *context);
	/* Bitmap number which: whether the bit is set, and for how many bytes. */
	int (*bitmap)(void *context, unsigned which, uint64_t offset, uint64_t *n, bool *set);
	/* The bitmap of that name ("qemu:dirty-bitmap:NAME" without the prefix):
	 * its number, or -1. Without a name clients mean all: bitmap_name. */
	int (*find_bitmap)(void *context, const char *name);
	/* Puts the i-th bitmap's name into out, for clients that list them. False: no more. */
	bool (*bitmap_name)(void *context, unsigned i, char out[256]);
};

struct nbdserver_export {
	const char *name;	 /* 1 to 4096 bytes of UTF-8; borrowed, as all here */
	const char *description; /* or NULL */
	uint64_t size_bytes;
	bool read_only;
	bool write_only; /* reads are answered with EPERM */
	bool multi_conn; /* a flush on one connection covers replies on all of them */
	uint32_t block_min, block_preferred, block_max; /* bytes; 0: 1, 4096, 32 MiB */
	const struct nbdserver_ops *ops;
	void *context;
};

struct nbdserver_tls {
	const char *certificates; /* a folder with ca-cert.pem, server-cert.pem, server-key.pem, or
				     NULL */
	const char *psk;	  /* a file of "name:hexkey" lines, or NULL */
	bool verify_peer;	  /* X.509: clients must show a certificate of ca-cert.pem */
};

struct nbdserver_options {
	unsigned n_connections;		 /* limit, past their handshake; 0: 64. More are refused */
	const struct nbdserver_tls *tls; /* NULL: plain. With it every client must use TLS */
	unsigned handshake_s; /* seconds a client may take to reach transmission; 0: 10 */
	/* For the program's log: a connection begins, ends or misbehaves. May be NULL. */
	void (*log)(void *context, const char *text);
	void *log_context;
};

/* Exports are copied shallowly; what they point to is borrowed. */
int nbdserver_new(struct nbdserver **out, const struct nbdserver_export *exports,
		  unsigned n_exports, const struct nbdserver_options *options, struct error *err);

/* Adds a place to listen at, with a thread of its own that accepts.
 * "unix:PATH": as socket_listen.
 * "HOST:PORT", "[::1]:PORT": TCP; plain only on a loopback address and with plain_loopback. */
int nbdserver_listen(struct nbdserver *server, const char *place, bool plain_loopback,
		     struct error *err);
/* Serves a connected socket; takes it over, even when it fails. Waits for a place if need be. */
int nbdserver_adopt(struct nbdserver *server, int fd, struct error *err);

/* Including those in their handshake. */
unsigned nbdserver_n_connections(struct nbdserver *server);
/* Connections that use this export now. */
unsigned nbdserver_export_users(struct nbdserver *server, unsigned export_index);
/* Clients that ever began to use an export, however short. */
uint64_t nbdserver_n_come(struct nbdserver *server);

/* Stops accepting, answers the requests that it has read and ends all connections; those that take
 * longer than grace_ms are cut. Removes its sockets. */
void nbdserver_stop(struct nbdserver *server, unsigned grace_ms);
void nbdserver_free(struct nbdserver *server); /* after stop; NULL-safe */

#endif
