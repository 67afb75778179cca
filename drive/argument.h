/*
 * A drive as it is named on the command line.
 */
#ifndef DRIVE_ARGUMENT_H
#define DRIVE_ARGUMENT_H

#include "base/error.h"

#define IMAGE_OPTIONS_MAX 8u

/* What may follow a path, as ,KEY=VALUE in any order. All texts are borrowed. */
struct drive_suffix {
	const char *format;  /* NULL: none given */
	const char *secret;  /* a file; NULL: none given */
	uint64_t size_bytes; /* 0: none given */
	/* Of a source of a backup: the internal snapshot that is read; what tells of changes. NULL:
	 * none given */
	const char *snapshot, *since, *bitmap, *reflink_of;
	const char
		*image[IMAGE_OPTIONS_MAX]; /* KEY=VALUE for qemu-img: see image_option_is_known */
	unsigned n_image;
};

/* Cuts such pairs off the end of text, which the suffix then points into. What is none of them, or
 * comes twice, stays: a path may hold most anything. */
void drive_suffix_cut(char *text, struct drive_suffix *out);

/* The parts of [NAME=]PATH[,KEY=VALUE]..., in a copy that is owned. */
struct drive_argument {
	char *copy;
	const char *name; /* NULL: none given */
	const char *path; /* not empty */
	struct drive_suffix suffix;
};

/* For a drive that is read: options of an image that is to be made are refused. */
int drive_argument_parse(const char *argument, struct drive_argument *out, struct error *err);
/* ERR_USAGE for what is for a source of a backup alone. */
int drive_suffix_check_plain(const struct drive_suffix *suffix, const char *argument,
			     struct error *err);
void drive_argument_free(struct drive_argument *argument);

#endif
