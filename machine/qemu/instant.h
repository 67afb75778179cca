/*
 * The instant that a backup of a running QEMU is of: with the guest's file systems frozen by the
 * agent, if there is one, all jobs begin in one transaction.
 */
#ifndef MACHINE_QEMU_INSTANT_H
#define MACHINE_QEMU_INSTANT_H

#include "machine/freeze.h"

/* As freeze_around, of an instant without an agent: with --guest-agent it connects to that. */
int instant_take(struct instant *instant, struct instant_outcome *out, struct error *err);

/* In the guard: by the agent, over the connection that comes with the backup's word. */
extern const struct freezer_kind freezer_agent;

#endif
