/*
 * A drive as it is named on the command line.
 */
#ifndef DRIVE_ARGUMENT_H
#define DRIVE_ARGUMENT_H

#include "base/error.h"

/* The parts of [NAME=]PATH[,format=FORMAT][,secret=FILE], in a copy that is owned; the options in any
 * order. */
struct drive_argument {
	char *copy;
	const char *name;   /* NULL: none given */
	const char *path;   /* not empty */
	const char *format; /* NULL: none given */
	const char *secret; /* the same */
};

int drive_argument_parse(const char *argument, struct drive_argument *out, struct error *err);
void drive_argument_free(struct drive_argument *argument);

#endif
