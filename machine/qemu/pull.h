/*
 * A snapshot that a running QEMU keeps while it is read: its jobs save what the guest overwrites in
 * scratch images, and it exports them. They are begun at one instant, looked after meanwhile, and
 * ended, whatever happens, so that nothing of them stays.
 */
#ifndef MACHINE_QEMU_PULL_H
#define MACHINE_QEMU_PULL_H

#include "machine/qemu/instant.h"
#include "machine/qemu/inventory.h"

struct drive;
struct pull;

struct pull_outcome {
	struct instant_outcome instant;
	uint64_t scratch_bytes; /* that the images had in the end */
	char remains[1000];	/* why something is left in QEMU, or empty: nothing is */
};

/* When this returns 0 the exports are there, and a thread looks after QEMU, which alone uses qmp
 * then. All is borrowed until pull_free. When it fails nothing is left either; *outcome is filled in both
 * cases. */
int pull_begin(struct pull **out, struct qmp *qmp, const struct inventory *inventory,
	       const struct machine_options *options, struct pull_outcome *outcome, struct error *err);
/* A drive as it was at the instant. */
int pull_open(struct pull *pull, unsigned drive, struct drive **out, struct error *err);
/* All was read: whether it was of that instant, up to the end. Ends it: nothing is left in QEMU
 * then. A signal that signals_noted tells of has it end the program. */
int pull_finish(struct pull *pull, struct error *err);
/* What failed because the snapshot had ended before is explained by that. Ends it too. */
int pull_explain(struct pull *pull, struct error *err);
void pull_free(struct pull *pull); /* ends it first; NULL-safe */

#endif
