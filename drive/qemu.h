/*
 * Images in QEMU's formats, through programs of QEMU's. Private to drive/.
 */
#ifndef DRIVE_QEMU_H
#define DRIVE_QEMU_H

#include "drive/qemuimg.h"

/* ---- qemunbd.c ----
 *
 * Access to images in QEMU's formats through a qemu-nbd of our own. Without libnbd qemu_nbd_open
 * fails and says so, and the other functions do not exist.
 */

struct nbdclient;
struct qemu_nbd;

/* Starts qemu-nbd and connects to it. The calling thread must outlive it. ERR_LOCKED: another QEMU
 * uses the image. The image struct is borrowed until the call returns. */
int qemu_nbd_open(struct qemu_nbd **out, const struct qemu_image *image, struct error *err);
struct nbdclient *qemu_nbd_client(const struct qemu_nbd *server); /* borrowed */
/* Adds qemu-nbd's complaints to an error of the client. Returns the code. */
int qemu_nbd_explain(const struct qemu_nbd *server, struct error *err);
/* For a writable image: flushes everything written and has qemu-nbd close the image cleanly. To be
 * followed by qemu_nbd_close. */
int qemu_nbd_finish(struct qemu_nbd *server, struct error *err);
void qemu_nbd_close(struct qemu_nbd *server); /* kills it; NULL-safe */

/* ---- qemucheck.c ---- */

/* Whether the image and its backing chain are complete: QEMU would read zeros for missing data.
 * ERR_SYSTEM: something is missing. *warning: other findings, usually empty. */
int qemu_image_examine(const struct qemu_image *image, char *warning, size_t room,
		       struct error *err);

/* ---- qcow2reach.c ---- */

/* *reach: the end of the last table or cluster of the active image, and with snapshots also of each
 * internal snapshot. What is not qcow2, or makes no sense, is left to QEMU. */
int qcow2_reach(int fd, const char *path, bool snapshots, uint64_t *reach, struct error *err);

#endif
