/*
 * A drive at the other end of NBD connections. Private to cow/; there with libnbd only.
 */
#ifndef COW_NBD_CLIENT_H
#define COW_NBD_CLIENT_H

#include "format/common.h"

struct nbd_client;

#define NBD_CONNECTIONS_MAX 4u

/* Takes over connected sockets of one server, at most NBD_CONNECTIONS_MAX, and sets their places to
 * -1, whether it succeeds or not. More than the first are used if the server says that it may be
 * read over several connections at once. name is for messages, borrowed. */
int nbd_client_new(struct nbd_client **out, const char *name, int *sockets, unsigned n_sockets,
		   struct error *err);
void nbd_client_free(struct nbd_client *client);

uint64_t nbd_client_size(const struct nbd_client *client); /* bytes */

/* As drive_read and drive_status. */
int nbd_client_read(struct nbd_client *client, uint64_t offset, void *buffer, size_t n,
		    struct error *err);
int nbd_client_status(struct nbd_client *client, uint64_t offset, uint64_t *n, bool *zero,
		      struct error *err);

#endif
