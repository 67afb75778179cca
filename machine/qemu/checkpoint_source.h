/*
 * A QEMU whose changes are tracked, as a source of checkpoints: private to checkpoints.c,
 * track_moves.c and track_rebuild.c.
 */
#ifndef MACHINE_QEMU_CHECKPOINT_SOURCE_H
#define MACHINE_QEMU_CHECKPOINT_SOURCE_H

#include "machine/checkpoint.h"
#include "machine/guard.h"
#include "machine/qemu/qemu.h"
#include "machine/qemu/track.h"

/* A drive whose checkpoint goes, or comes. */
struct moved {
	uint8_t *bits; /* owned: what changed since, of all clusters */
	struct arrival *arrival;
};

struct checkpoint_source {
	struct qemu qemu;
	struct track *track;
	struct guard *guard;
	struct moved *moved; /* owned; by drive; NULL: none yet */
};

extern const struct checkpoint_moves checkpoint_qemu_moves;
extern const struct checkpoint_rebuild checkpoint_qemu_rebuild;
void checkpoint_qemu_moves_free(struct checkpoint_source *source);

#endif
