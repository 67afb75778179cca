/*
 * The control socket.
 */
#ifndef MACHINE_SERVE_CONTROL_H
#define MACHINE_SERVE_CONTROL_H

#include "machine/serve/state.h"

/* From here on clients are served. The socket has mode 0600, and appears when it can be connected
 * to. One that a dead server left is replaced; one that answers: ERR_LOCKED. */
int control_open(struct serve *serve, struct error *err);
/* No new clients; the others are cut, and so a backup ends, but for the one that asked to stop. */
void control_cut(struct serve *serve);
/* After that: the one that asked is told how it went. */
void control_close(struct serve *serve, const struct error *how);

#endif
