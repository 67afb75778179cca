/*
 * A drive of an archive as it is named on the command line.
 */
#ifndef ARCHIVE_SELECT_H
#define ARCHIVE_SELECT_H

#include "format/format.h"

/* NAME[=TARGET] against the drives of an archive. *drive is its number from 0, *target points into
 * argument or is NULL. The longest name of a drive that argument begins with, an '=' or the end
 * after it, is meant; "@N", counted from 1, when no name fits. */
int drive_selection_parse(const char *argument, const struct archive *archive, uint32_t *drive,
			  const char **target, struct error *err);

#endif
