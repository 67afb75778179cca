/*
 * The snapshot that QEMU's copy-before-write filter holds, read through nodes of its driver
 * snapshot-access: what a cluster held when the filter came, saved or not yet overwritten.
 *
 * Once the filter could not save something it tells neither the job nor an event (jobs_options,
 * breaks), but every read of the snapshot fails. So what was read is right, and one read shows that
 * nothing has gone wrong before it.
 *
 * The nodes are made over the drives themselves, before the instant: the filter that a job inserts
 * goes below all nodes that use the drive. The data of the snapshot is right from QEMU 10 on; that
 * of 7.2 is not, after the guest has written zeros.
 */
#ifndef MACHINE_QEMU_SNAPSHOT_H
#define MACHINE_QEMU_SNAPSHOT_H

#include "machine/qemu/inventory.h"
#include "machine/qemu/names.h"

/* The name of the snapshot's node of a drive. */
char *snapshot_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive);
/* Such a node, over the drive's or over a filter's. Posted: qmp_settle has to follow. */
int snapshot_add(struct qmp *qmp, const char *id, unsigned drive, const char *node,
		 struct error *err);
/* For each drive, over it. */
int snapshots_add(struct qmp *qmp, const char *id, const struct inventory *inventory,
		  struct error *err);

/* A node for each drive that shows only what one read needs. */
int probes_add(struct qmp *qmp, const char *id, const struct inventory *inventory,
	       struct error *err);
/* The jobs are pending: whether everything was saved before the guest has overwritten it. Reads a
 * cluster of each drive, or of its target. */
int probes_check(struct qmp *qmp, const char *id, const struct inventory *inventory,
		 struct error *err);

#endif
