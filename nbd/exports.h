/*
 * What the server serves.
 */
#ifndef NBD_EXPORTS_H
#define NBD_EXPORTS_H

#include "nbd/state.h"

/* Copies them into the server and fills in defaults. */
int exports_take(struct nbdserver *server, const struct nbdserver_export *exports, unsigned n,
		 struct error *err);
/* NULL: no export has that name. */
const struct nbdserver_export *exports_find(const struct nbdserver *server, const uint8_t *name,
					    size_t n);
/* From now on the connection uses that export and counts as a client. False: too many clients. */
bool exports_use(struct connection *connection, const struct nbdserver_export *export);

#endif
