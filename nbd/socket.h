/*
 * The socket of a connection, and the log.
 */
#ifndef NBD_SOCKET_H
#define NBD_SOCKET_H

#include "nbd/state.h"

#include <sys/types.h>
#include <sys/uio.h>

void server_log(const struct nbdserver *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void connection_log(const struct connection *connection, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* With the deadline of the handshake: bytes, 0 at the end, -1. */
ssize_t connection_receive(struct connection *connection, void *to, size_t n);
ssize_t connection_send(struct connection *connection, const struct iovec *parts, unsigned n);
/* Ends both directions: the socket does not work any more, and the reader is to know. */
void connection_cut(struct connection *connection);

#endif
