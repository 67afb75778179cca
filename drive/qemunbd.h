/*
 * Access to images in QEMU's formats through a qemu-nbd of our own. Without libnbd qemu_nbd_open
 * fails and says so, and the other functions do not exist.
 */
#ifndef DRIVE_QEMUNBD_H
#define DRIVE_QEMUNBD_H

#include "drive/qemuimg.h"

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

#endif
