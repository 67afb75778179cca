/*
 * What backups of a running QEMU have in common, whether it pushes its drives or they are pulled.
 */
#ifndef CLI_QEMU_BACKUP_H
#define CLI_QEMU_BACKUP_H

#include "machine/qemu/instant.h"
#include "machine/qemu/inventory.h"
#include "archive/create.h"

struct json_t;
struct qmp;
struct report;

struct qemu_backup {
	const struct backup_options *options;
	struct report *report;
	struct create create;	 /* whoever opens it closes it, before the free */
	struct qmp *qmp;	 /* owned */
	struct inventory inventory;
	unsigned n_leftovers; /* dead runs that were cleaned up after */
};

struct qemu_backup qemu_backup_new(const struct backup_options *options, struct report *report);
void qemu_backup_free(struct qemu_backup *backup);

/* All that can be refused, and the head of the archive: drives, configs, what QEMU tells. */
int qemu_backup_prepare(struct qemu_backup *backup, struct error *err);
/* Creates the output. */
int qemu_backup_open(struct qemu_backup *backup, struct error *err);
void qemu_backup_warn(const struct qemu_backup *backup, const struct instant_outcome *instant,
		      const char *remains);
/* From here on, this thread and those that it starts stand back from the guest. */
void qemu_backup_stand_back(const struct qemu_backup *backup);
/* The summary; for JSON, the member that the rest goes into: borrowed, or NULL. */
struct json_t *qemu_backup_tell(const struct qemu_backup *backup,
				const struct instant_outcome *instant);

#endif
