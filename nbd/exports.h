/*
 * What the server serves.
 */
#ifndef NBD_EXPORTS_H
#define NBD_EXPORTS_H

#include "nbd/state.h"

/* Copies them into the server, with its defaults for what they leave open. */
int exports_take(struct nbdserver *server, const struct nbdserver_export *exports, unsigned n,
		 struct error *err);
/* NULL: there is none of that name. */
const struct nbdserver_export *exports_find(const struct nbdserver *server, const uint8_t *name,
					    size_t n);
/* The connection has an export from now on, and counts as a client. False: there is no room. */
bool exports_use(struct connection *connection, const struct nbdserver_export *export);

#endif
