/*
 * What a run that died has left in QEMU.
 */
#ifndef MACHINE_QEMU_LEFTOVERS_H
#define MACHINE_QEMU_LEFTOVERS_H

#include "base/error.h"

struct qmp;

/* Ends what was left by a run that died: its sockets are served again, so that QEMU finds answers,
 * until its jobs are cancelled and its nodes removed. A run that is alive is ERR_LOCKED. id: of the
 * run, which is then taken for dead; NULL: of any. *n: how many runs there were. */
int leftovers_remove(struct qmp *qmp, const char *id, unsigned *n, struct error *err);

#endif
