/*
 * Live migration. QEMU lets one begin while a backup runs, and fails it at the end, when the
 * machine is about to change hosts: a job still uses the drives. So a backup does not begin during
 * a migration, and is given up for one that begins.
 */
#ifndef MACHINE_QEMU_MIGRATION_H
#define MACHINE_QEMU_MIGRATION_H

#include "base/error.h"

struct qmp;

/* ERR_LOCKED: the machine is being migrated. */
int migration_check(struct qmp *qmp, struct error *err);

/* Has QEMU send an event when a migration begins, which ends qmp_wait. Whether it did not do so
 * before: then migration_unwatch sets it back. */
bool migration_watch(struct qmp *qmp);
void migration_unwatch(struct qmp *qmp);

#endif
