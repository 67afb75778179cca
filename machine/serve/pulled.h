/*
 * A snapshot (machine/serve/snapshot.h) of a machine that keeps one itself, and hands over its
 * drives: QEMU, or libvirt. What clients ask for is read there. One in a process.
 *
 * No reader gets data of another instant: before an answer goes out the machine is asked whether
 * what was read is of the snapshot. When that has ended every read fails from then on.
 */
#ifndef MACHINE_SERVE_PULLED_H
#define MACHINE_SERVE_PULLED_H

#include "machine/serve/snapshot.h"

struct machine_kind;
struct pulled;

/* The instant; from here on clients are served. Of options the checkpoint is in machine.since.
 * Options and watcher are borrowed until the end. */
int pulled_open(struct pulled **out, const struct machine_kind *kind,
		const struct snapshot_options *options, const struct watcher *watcher,
		struct error *err);
/* Until a signal wants the end, 0, or the snapshot is lost: negative. */
int pulled_wait(struct pulled *pulled, struct error *err);
void pulled_close(struct pulled *pulled); /* NULL-safe */

#endif
