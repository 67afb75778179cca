/*
 * Where files may be created: not among device nodes. A user who names /dev/sdz means a device; a
 * file created there would be in memory and vanish at the next boot, after a reported success.
 */
#ifndef BASE_PLACE_H
#define BASE_PLACE_H

#include "base/error.h"

#include <sys/stat.h>

/* Whether a folder is in a devtmpfs, or is /dev itself or below it. File systems mounted there,
 * such as /dev/shm, accept files like any other. False if it cannot be opened. */
bool place_has_devices(const char *folder);

/* ERR_USAGE if the folder of path is for devices, so that no file or folder may be created at path.
 * The caller finds all other errors when it creates it. */
int place_check(const char *path, struct error *err);

/* ERR_USAGE unless st, of the file at path, is of this user and writable by no other, or lies in a
 * folder where nobody but this user, root or its owner makes files: another's file could hold
 * anything, and be read and written meanwhile. It may have been given to the user of a machine. */
int place_check_own(const char *path, const struct stat *st, struct error *err);

/* Makes a folder that only its owner may use, if there is none yet. *made: there was none. */
int place_make_folder(const char *path, bool *made, struct error *err);

#endif
