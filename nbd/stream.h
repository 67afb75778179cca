/*
 * The bytes of a connection, through TLS if it is used.
 */
#ifndef NBD_STREAM_H
#define NBD_STREAM_H

#include "nbd/state.h"

#include <sys/uio.h>

/* Some bytes; 0: the connection has ended. */
size_t stream_receive_some(struct connection *connection, void *to, size_t n);
/* True: all n bytes were transferred. */
bool stream_receive(struct connection *connection, void *to, size_t n);
/* Changes parts. The caller holds send_lock, or is the only thread. */
bool stream_send_parts(struct connection *connection, struct iovec *parts, unsigned n);
bool stream_send(struct connection *connection, const void *from, size_t n);

#endif
