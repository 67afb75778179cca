/*
 * Images that QEMU understands (qcow2, vmdk, ...), by their names and through qemu-img.
 */
#ifndef DRIVE_QEMUIMG_H
#define DRIVE_QEMUIMG_H

#include "base/error.h"

/* What the ending of a name says: a name for QEMU, "raw" if it says nothing. The content is never
 * asked: a guest controls it. */
const char *image_format_of(const char *path);
/* Lower-case letters and digits: what may be part of an option string for QEMU. */
bool is_image_format(const char *format);

struct qemu_image {
	const char *name; /* for messages */
	const char *path;
	const char *format;
	bool block_device;
	bool force_share; /* read-only: though others write to it */
	bool damaged_too; /* qemu_image_examine only warns */
	bool writable;
};

/* The image as an option string for QEMU, by which nothing in its name has a meaning. Owned by the
 * caller; NULL: no memory. */
char *qemu_image_options(const struct qemu_image *image);

/* Makes an image, over what is at path. */
int qemu_img_create(const char *name, const char *path, const char *format, uint64_t size_bytes,
		    struct error *err);

struct qemu_img {
	const char *name;	      /* for messages */
	const char *const *arguments; /* "qemu-img" first, NULL at the end */
	int limit_ms; /* without a sign of life it is given up after that; 0: as for reading */
	/* Each line that it prints; may be NULL. */
	void (*line)(void *context, const char *text);
	void *context;
	char words[1000]; /* out: what it complained about, fit for a message */
};

/* Runs it to its end. Its exit code, or a negative code. It ends with the thread that runs it. */
int qemu_img_run(struct qemu_img *run, struct error *err);

/* For child_start's failure: adds what helps the user. */
int qemu_not_started(const char *name, const char *program, struct error *err);

/* What a program of QEMU's said, on one line and fit for a message: errors with the advice that
 * follows them, without its name and without the options that we gave it. Changes text. */
void qemu_words(char *out, size_t room, char *text, const char *name);
/* Adds the limits that can be why it failed, which it inherits from us: it does not name them. */
void qemu_add_limits(struct error *err, bool writable);

#endif
