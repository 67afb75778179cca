/*
 * What backups of a running QEMU have in common, whether QEMU pushes its drives or they are pulled:
 * the connection, the drives, and what is told afterwards.
 */
#ifndef MACHINE_QEMU_QEMU_H
#define MACHINE_QEMU_QEMU_H

#include "machine/freeze.h"
#include "machine/machine.h"
#include "machine/qemu/inventory.h"

struct json_t;
struct qmp;

struct qemu {
	const struct machine_options *options;
	const struct watcher *watcher;
	struct qmp *qmp;
	struct inventory inventory;
	struct machine_drive *drives;
	char *text; /* what QEMU tells of the machine, for the archive */
	struct machine_config config;
	struct instant_outcome instant;
	bool has_events;    /* of migrations, because we asked for them */
	char remains[1000]; /* why something is left in QEMU, or empty: nothing is */
};

/* Connects, removes what dead runs left, and finds the drives. ERR_LOCKED also when the machine is
 * being migrated; a migration that begins later is an event. *out can be closed in any case; its
 * address must not change. Options and watcher are borrowed. */
int qemu_open(struct qemu *out, const struct machine_options *options,
	      const struct watcher *watcher, struct error *err);
void qemu_close(struct qemu *qemu);
void qemu_describe(const struct qemu *qemu, struct machine_description *out);

/* After a command that failed: adds why QEMU may not get at what this program made for it. */
void qemu_advise(const struct qemu *qemu, struct error *err);

/* Calls remove, which takes out of QEMU what the run made there; again if QEMU hung up meanwhile. A
 * QEMU that has ended has nothing left, and the result is false. qemu->remains says what failed. */
bool qemu_clear(struct qemu *qemu, int (*remove)(void *context, struct error *err), void *context);

/* Warns of a guest that may be frozen, and of what is left in QEMU; each once. */
void qemu_warn(struct qemu *qemu);
/* Tells of the instant: in the object, and the watcher. */
void qemu_outcome(const struct qemu *qemu, struct json_t *capture);

/* A signal while QEMU works for a backup: calls interrupt, on another thread, and has the program
 * go on until qemu_calm, so that nothing is left in QEMU when the signal ends it. One at a time. */
void qemu_stir(void (*interrupt)(void *context), void *context);
/* Nothing is left in QEMU. interrupt is not called any more. */
void qemu_calm(void);

#endif
