/*
 * qemu-img, run to its end. Private to drive/.
 */
#ifndef DRIVE_QEMUIMG_H
#define DRIVE_QEMUIMG_H

#include "drive/qemunbd.h"

struct qemu_img {
	const char *name;	      /* for messages */
	const char *const *arguments; /* "qemu-img" first, NULL at the end */
	int limit_ms; /* without a sign of life it is given up after that; 0: as for reading */
	/* Each line that it prints; may be NULL. */
	void (*line)(void *context, const char *text);
	void *context;
	char words[1000]; /* out: what it complained about, fit for a message */
};

/* Its exit code, or a negative code. It ends with the thread that runs it. */
int qemu_img_run(struct qemu_img *run, struct error *err);

/* The image as an option string for QEMU, by which nothing in its name has a meaning. Owned by the
 * caller; NULL: no memory. */
char *qemu_image_options(const struct qemu_nbd_options *image);

/* Of child_start's failure what helps the user. */
int qemu_not_started(const char *name, const char *program, struct error *err);

/* What a program of QEMU's said, on one line and fit for a message: errors with the advice that
 * follows them, without its name and without the options that we gave it. Cuts text. */
void qemu_words(char *out, size_t room, char *text, const char *name);
/* Adds the limits that can be why it failed, which it has from us: it does not name them. */
void qemu_add_limits(struct error *err, bool writable);

#endif
