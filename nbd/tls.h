/*
 * TLS for the server.
 */
#ifndef NBD_TLS_H
#define NBD_TLS_H

#include "nbd/state.h"

#include <sys/types.h>

int tls_new(struct tls **out, const struct nbdserver_tls *options, struct error *err);
void tls_free(struct tls *tls); /* NULL-safe */
/* Does the TLS handshake and sets connection->tls. False: it failed; the log says why. */
bool tls_accept(struct tls *tls, struct connection *connection);
ssize_t tls_receive(struct tls_session *session, void *to, size_t n);
ssize_t tls_send(struct tls_session *session, const void *from, size_t n);
void tls_close(struct tls_session *session); /* NULL-safe */

#endif
