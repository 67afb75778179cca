/*
 * What the NBD server asks of a drive.
 */
#ifndef MACHINE_SERVE_EXPORT_H
#define MACHINE_SERVE_EXPORT_H

#include "machine/serve/state.h"

/* The export of a drive; what it points to is borrowed from served. */
struct nbdserver_export serve_export(const struct served *served, bool read_only);

#endif
