/*
 * Images that QEMU understands (qcow2, vmdk, ...), through a qemu-nbd of our own. Without libnbd
 * qemu_nbd_open says so, and what would follow it is not there.
 */
#ifndef DRIVE_QEMUNBD_H
#define DRIVE_QEMUNBD_H

#include "base/error.h"

struct nbdclient;
struct qemu_nbd;

/* What the ending of a name says: a name for qemu, "raw" if it says nothing. The content is never
 * asked: a guest controls it. */
const char *image_format_of(const char *path);
/* Lower-case letters and digits: what may be part of an option string for qemu. */
bool is_image_format(const char *format);

struct qemu_nbd_options {
	const char *name; /* for messages */
	const char *path;
	const char *format;
	bool block_device;
	bool force_share; /* read-only: though others write to it */
	bool damaged_too; /* qemu_image_examine only warns */
	bool writable;
};

/* Starts qemu-nbd and connects to it. The thread that does so must outlive it. ERR_LOCKED when
 * another QEMU is in the way. Options are borrowed until the call ends. */
int qemu_nbd_open(struct qemu_nbd **out, const struct qemu_nbd_options *options, struct error *err);
struct nbdclient *qemu_nbd_client(const struct qemu_nbd *server); /* borrowed */
/* Adds to *err, of the client, what qemu-nbd complained about. Returns the code. */
int qemu_nbd_explain(const struct qemu_nbd *server, struct error *err);
/* Writable: all that was written is in the image, which is closed in good order. To be followed by
 * qemu_nbd_close. */
int qemu_nbd_finish(struct qemu_nbd *server, struct error *err);
void qemu_nbd_close(struct qemu_nbd *server); /* kills it; NULL-safe */

/* Whether all that the image, and those it stands on, should hold is there; what QEMU cannot find
 * it reads as zeros. ERR_SYSTEM when something is missing. *warning: what else is to be told of it,
 * empty mostly. */
int qemu_image_examine(const struct qemu_nbd_options *image, char *warning, size_t room,
		       struct error *err);

/* Makes an image with qemu-img, over what is at path. */
int qemu_img_create(const char *name, const char *path, const char *format, uint64_t size_bytes,
		    struct error *err);

#endif
