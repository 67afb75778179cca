#ifndef MACHINE_QEMU_PUSH_LOOK_H
#define MACHINE_QEMU_PUSH_LOOK_H

#include "machine/machine.h"

/* Before the instant of a push: as machine_kind has it. */
int push_look(struct machine *machine, uint32_t i, const struct cluster_set *set,
	      const struct machine_taker *taker, struct error *err);

#endif
