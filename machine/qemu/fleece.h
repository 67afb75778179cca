/*
 * What a pull makes in QEMU: for each drive a scratch image that stands on the drive, so that what
 * it does not hold is read from the drive, and an export.
 */
#ifndef MACHINE_QEMU_FLEECE_H
#define MACHINE_QEMU_FLEECE_H

#include "machine/qemu/inventory.h"

struct json_t;

#define SCRATCH_FOLDER "/var/tmp" /* unless the user names one */

/* Whether connections to an export of these drives have to be held (machine/held.h). */
bool fleece_is_held(const struct qmp *qmp, const struct inventory *inventory);
/* The node of drive number i, over an image that lies at path. Posted: qmp_settle has to follow. */
int fleece_add_node(struct qmp *qmp, const char *id, const struct inventory *inventory, unsigned i,
		    const char *path, struct error *err);
/* A server of QEMU's own at that unix socket. ERR_LOCKED: it has one already. */
int fleece_start_server(struct qmp *qmp, const char *socket, struct error *err);
/* snapshots: of the nodes of machine/qemu/snapshot.h, instead of the scratch images. */
int fleece_add_exports(struct qmp *qmp, const char *id, const struct inventory *inventory,
		       bool snapshots, struct error *err);

/* Takes all of that out of QEMU again, also of a dead run: jobs, exports, the server if there is
 * one at socket, nodes; then the files. */
int fleece_remove(struct qmp *qmp, const char *id, const char *socket, struct error *err);
/* Scratch images, if they still have names, the socket, and the run directory. */
void fleece_remove_files(const char *socket);

#endif
