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

/* Until the handshake's deadline. Bytes, 0 at the end, or -1. */
ssize_t connection_receive(struct connection *connection, void *to, size_t n);
ssize_t connection_send(struct connection *connection, const struct iovec *parts, unsigned n);
/* Shuts both directions down, so that the reader notices that the connection is lost. */
void connection_cut(struct connection *connection);

#endif
