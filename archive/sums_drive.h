/*
 * Sums of a drive that is no archive: all of it is read.
 */
#ifndef ARCHIVE_SUMS_DRIVE_H
#define ARCHIVE_SUMS_DRIVE_H

#include "archive/sums.h"

struct drive;
struct watcher;

/* A finished file without a name in this folder, of one drive of this name. Free *out even after an
 * error. ERR_SYSTEM if the drive was written to meanwhile, as far as that can be seen. */
int sums_of_drive(struct sums_writer **out, const char *folder, const char *name,
		  struct drive *drive, const struct watcher *watcher, struct error *err);

#endif
