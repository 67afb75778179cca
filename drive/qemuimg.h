/*
 * Images that QEMU understands (qcow2, vmdk, ...), by their names and through qemu-img.
 */
#ifndef DRIVE_QEMUIMG_H
#define DRIVE_QEMUIMG_H

#include "base/error.h"

/* QEMU's name of the format that a file name's ending suggests; otherwise "raw". The content does
 * not count: a guest controls it. */
const char *image_format_of(const char *path);
/* The format that was given, or else the one that the name suggests. A secret (or NULL) is for no
 * raw image, so with one what seems to be raw is LUKS. */
const char *image_format_given(const char *path, const char *given, const char *secret);
/* Only lower-case letters and digits, which are safe in an option string for QEMU. */
bool is_image_format(const char *format);

/* Whether options of this name, length bytes long, are in the allow-list of qemu_img_create, for
 * any format. */
bool image_option_is_known(const char *name, size_t length);

struct qemu_image {
	const char *name; /* for messages */
	const char *path;
	const char *format;
	const char *secret;   /* a file with its key; NULL: none */
	const char *internal; /* the id of an internal snapshot to read; NULL: as it is now */
	bool block_device;
	bool force_share; /* read-only, even if others write to it */
	bool unlocked;	  /* by a program that leaves the locks to us */
	bool damaged_too; /* qemu_image_examine only warns */
	bool writable;
	const char *socket; /* qemu_nbd_open: one client more is served there; NULL: none */
};

/* An option string for QEMU in which no part of the image's name has a special meaning. Owned by
 * the caller; NULL: no memory. */
char *qemu_image_options(const struct qemu_image *image);

/* The value of --object that goes with these options, if the image has a secret. Owned by the
 * caller; NULL: no memory. */
char *qemu_secret_object(const struct qemu_image *image);

/* Creates an image, overwriting the file or block device at path. An option that the allow-list
 * does not have for this format is ERR_USAGE. */
#define QEMU_OPTIONS_MAX 16u
struct qemu_new_image {
	const char *name; /* for messages */
	const char *path; /* of a block device: without a colon */
	const char *format;
	bool block_device;
	uint64_t size_bytes;
	const char *const *options; /* KEY=VALUE; the last of a KEY counts */
	unsigned n_options;	    /* at most QEMU_OPTIONS_MAX */
};
int qemu_img_create(const struct qemu_new_image *image, struct error *err);

struct qemu_img {
	const char *name;	      /* for messages */
	const char *const *arguments; /* "qemu-img" first, NULL at the end */
	int limit_ms; /* given up after that long without a sign of life; 0: the limit for reading
		       */
	/* Called for each line that it prints; may be NULL. */
	void (*line)(void *context, const char *text);
	void *context;
	/* It writes to an image in use: it goes on, whatever ends us. */
	bool goes_on;
	int lock;	  /* with that: it holds this descriptor, too; -1: none */
	char words[1000]; /* out: its complaints, made fit for a message */
};

/* Runs it to its end; returns its exit code, or a negative code. The kernel kills it if the thread
 * that runs it ends. */
int qemu_img_run(struct qemu_img *run, struct error *err);

/* After child_start failed: completes the error with advice. */
int qemu_not_started(const char *name, const char *program, struct error *err);

/* The complaints of a QEMU program on one line, made fit for a message: errors and the advice that
 * follows them, without the program's name and the options that we passed. Changes text. */
void qemu_words(char *out, size_t room, char *text, const char *name);
/* ERR_USAGE if these words say that QEMU does not know the format; else 0. */
int qemu_check_format(const char *words, const char *name, const char *format, struct error *err);
/* The same for an image that could not be opened, and for its secret: *err becomes ERR_USAGE and
 * says what to do, or stays. Returns its code. */
int qemu_explain_image(const struct qemu_image *image, struct error *err);
/* Adds inherited resource limits that may be the reason: QEMU does not name them. */
void qemu_add_limits(struct error *err, bool writable);

#endif
