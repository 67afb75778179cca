/*
 * The bytes of a connection, through TLS if there is.
 */
#ifndef NBD_STREAM_H
#define NBD_STREAM_H

#include "nbd/state.h"

#include <sys/uio.h>

/* Some bytes; 0: no more will come. */
size_t stream_receive_some(struct connection *connection, void *to, size_t n);
/* True if all came, or went. */
bool stream_receive(struct connection *connection, void *to, size_t n);
/* Changes parts. The caller has send_lock, or is alone. */
bool stream_send_parts(struct connection *connection, struct iovec *parts, unsigned n);
bool stream_send(struct connection *connection, const void *from, size_t n);

#endif
