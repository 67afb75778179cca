/*
 * A drive or config of an archive as it is named on the command line.
 */
#ifndef ARCHIVE_SELECT_H
#define ARCHIVE_SELECT_H

#include "format/format.h"

/* Finds the drive that NAME[=TARGET] means: the one with the longest name that argument begins
 * with, followed by '=' or the end; if there is none, "@N" counted from 1. *drive counts from 0;
 * *target points into argument or is NULL. The caller says in
 * errors of which option argument is. */
int select_drive(const char *argument, const struct archive *archive, uint32_t *drive,
		 const char **target, struct error *err);

/* Finds a config by its name; NULL: the only one, or qemu-server.conf. A name that is not found is
 * ERR_SYSTEM, as neither the archive nor the call is at fault. */
int select_config(const char *name, const struct archive *archive,
		  const struct archive_config **config, struct error *err);

#endif
