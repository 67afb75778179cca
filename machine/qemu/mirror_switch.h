/*
 * The one instant of several jobs, and what the targets have. Private to machine/qemu/mirror*.c.
 */
#ifndef MACHINE_QEMU_MIRROR_SWITCH_H
#define MACHINE_QEMU_MIRROR_SWITCH_H

#include "machine/qemu/mirror_parts.h"

/* ---- mirror_switch.c ---- */

/* For switch_all: with guard_end after it. */
struct guard;
int switch_guard(struct guard **out, const struct qemu_mirror *mirror, struct error *err);
/* Ends all jobs at one instant: with pivot the guest goes on at the targets, without it where it
 * is. The jobs have ended, also after a failure. */
int switch_all(struct qmp *qmp, struct qemu_mirror *mirror, struct guard *guard, bool pivot,
	       struct error *err);
/* The way back: what the guest writes to the target after a pivot is recorded from before it on.
 * Then, after it: the old drive becomes the target of the state. */
int switch_prepare_way_back(struct qmp *qmp, const struct qemu_mirror *mirror,
			    const struct mirrored *drive, struct error *err);
void switch_way_back(struct qmp *qmp, const struct qemu_mirror *mirror, struct mirrored *drive);

/* ---- mirror_note.c ---- */

/* While it is copied: what was copied so far. */
void note_progress(struct qemu_mirror *mirror, struct mirrored *drive);
/* 1: all that was written before has reached the target; 0: not in time, or the mirror is asked
 * something. To be known before a node is added or removed: newer QEMUs wait then for all requests,
 * those to a silent target too, and the guest with them. */
int note_await_drained(struct qmp *qmp, const struct qemu_mirror *mirror,
		       const struct mirrored *drive, struct error *err);
/* Whether what is on its way to the target, if anything, gets on. Once a pivot has begun the guest
 * waits for that, with newer QEMUs without end. */
int note_check_answers(struct qmp *qmp, const struct qemu_mirror *mirror,
		       const struct mirrored *drive, struct error *err);
/* A new generation of keep begins; and once all that was written before is durable on the target:
 * it is the one that counts. */
int note_begin(struct qmp *qmp, struct qemu_mirror *mirror, const struct mirrored *drive,
	       struct error *err);
void note_cut(struct mirrored *drive);

#endif
