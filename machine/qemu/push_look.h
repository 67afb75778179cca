#ifndef MACHINE_QEMU_PUSH_LOOK_H
#define MACHINE_QEMU_PUSH_LOOK_H

#include "machine/machine.h"

struct qemu;

/* Before the instant of a push, or without one: as machine_kind has it. */
int push_look(struct qemu *qemu, uint32_t i, const struct cluster_set *set,
	      const struct machine_taker *taker, struct error *err);

#endif
