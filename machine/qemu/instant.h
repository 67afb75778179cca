/*
 * The guest agent as what freezes a running QEMU for an instant.
 */
#ifndef MACHINE_QEMU_INSTANT_H
#define MACHINE_QEMU_INSTANT_H

#include "machine/freeze.h"

/* As freeze_around; with --guest-agent it connects to the agent, and fills in the instant's part of
 * it. */
int instant_take(struct instant *instant, struct instant_outcome *out, struct error *err);

/* In the guard: by the agent, over the connection that comes with the backup's word. */
extern const struct freezer_kind freezer_agent;

#endif
