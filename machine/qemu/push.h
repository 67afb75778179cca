/*
 * A backup that QEMU's own jobs push to us: starting them all at one instant, slowing them down so
 * that the guest does not wait, and ending them, whatever happens, so that nothing of them stays.
 */
#ifndef MACHINE_QEMU_PUSH_H
#define MACHINE_QEMU_PUSH_H

#include "machine/qemu/instant.h"
#include "machine/qemu/inventory.h"
#include "cow/buffer.h"
#include "machine/qemu/receive.h"

#include <stdatomic.h>

struct push;

/* What there is to tell of it. */
struct push_outcome {
	struct instant_outcome instant;
	struct receiver_counts counts;
	char remains[1000]; /* why something is left in QEMU, or empty: nothing is */
};

/* Serves an export for each drive of the inventory, starts QEMU's jobs at one instant, and a thread
 * that looks after them until they have ended and nothing of them is left. That thread alone uses
 * qmp then. It ends or fails the buffer. covered_bytes: what has left the buffer. All is borrowed
 * until push_free. When this fails nothing is left either; *outcome is filled in both cases. */
int push_begin(struct push **out, struct qmp *qmp, const struct inventory *inventory,
	       struct buffer *buffer, const struct machine_options *options,
	       const _Atomic uint64_t *covered_bytes, struct push_outcome *outcome, struct error *err);

/* Waits until the thread is done, which it soon is when the buffer has failed. A signal that
 * signals_noted tells of has it end the program when nothing is left. */
void push_end(struct push *push);
void push_free(struct push *push); /* ends it first; NULL-safe */

#endif
