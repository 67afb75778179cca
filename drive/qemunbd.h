/*
 * Images that QEMU understands, through a qemu-nbd of our own. Without libnbd qemu_nbd_open says
 * so, and the rest does not exist.
 */
#ifndef DRIVE_QEMUNBD_H
#define DRIVE_QEMUNBD_H

#include "drive/qemuimg.h"

struct nbdclient;
struct qemu_nbd;

/* Starts qemu-nbd and connects to it. The thread that does so must outlive it. ERR_LOCKED when
 * another QEMU is in the way. The image is borrowed until the call ends. */
int qemu_nbd_open(struct qemu_nbd **out, const struct qemu_image *image, struct error *err);
struct nbdclient *qemu_nbd_client(const struct qemu_nbd *server); /* borrowed */
/* Adds to *err, of the client, what qemu-nbd complained about. Returns the code. */
int qemu_nbd_explain(const struct qemu_nbd *server, struct error *err);
/* Writable: all that was written is in the image, which is closed in good order. To be followed by
 * qemu_nbd_close. */
int qemu_nbd_finish(struct qemu_nbd *server, struct error *err);
void qemu_nbd_close(struct qemu_nbd *server); /* kills it; NULL-safe */

#endif
