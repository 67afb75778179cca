/*
 * Copy-before-write filters of our own, between the devices of a machine and their drives: for a
 * QEMU whose jobs fail the guest's write when they cannot save the old data (machine/qemu/jobs.h,
 * breaks). A filter can fail the snapshot instead.
 *
 *   device -> A   becomes   device -> guest node -> A   and, at the instant,
 *                           device -> guest node -> filter -> A
 *                                                     `-> scratch image
 *
 * One command can put filters below any number of nodes at one instant, but not below devices; that
 * is what the guest node is for, which shows what is below it. The name of A is kept in the run
 * directory, as QEMU does not say what a node stands on, but by a command for debugging.
 */
#ifndef MACHINE_QEMU_FILTER_H
#define MACHINE_QEMU_FILTER_H

#include "machine/qemu/inventory.h"

/* Whether this QEMU has them, and its snapshots are right; and each drive has a device. */
bool filters_fit(struct qmp *qmp, const struct inventory *inventory);
/* Guest nodes and filters; the scratch images have nodes. socket: of the run. When this or the next
 * one fails, filters_remove undoes what was done. */
int filters_add(struct qmp *qmp, const char *id, const struct inventory *inventory,
		const char *socket, struct error *err);
/* The instant. Then adds the nodes of machine/qemu/snapshot.h. */
int filters_start(struct qmp *qmp, const char *id, const struct inventory *inventory,
		  struct error *err);
/* Whether every device still has its guest node. */
int filters_check(struct qmp *qmp, const char *id, const struct inventory *inventory,
		  struct error *err);
/* Gives the devices their drives back, also those of a dead run. The nodes remain for nodes_remove.
 */
int filters_remove(struct qmp *qmp, const char *id, const char *socket, struct error *err);
/* Removes what is in the run directory. */
void filters_forget(const char *socket);

#endif
