/*
 * A drive of an archive as it is named on the command line.
 */
#ifndef ARCHIVE_SELECT_H
#define ARCHIVE_SELECT_H

#include "format/format.h"

/* Finds the drive that NAME[=TARGET] means: the one with the longest name that argument begins
 * with, followed by '=' or the end; if there is none, "@N" counted from 1. *drive counts from 0;
 * *target points into argument or is NULL. */
int drive_selection_parse(const char *argument, const struct archive *archive, uint32_t *drive,
			  const char **target, struct error *err);

#endif
