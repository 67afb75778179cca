#ifndef NBD_HANDSHAKE_H
#define NBD_HANDSHAKE_H

#include "nbd/state.h"

/* True: on to transmission, with connection->export set. */
bool handshake_run(struct connection *connection);

#endif
