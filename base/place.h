/*
 * Where files may be made: not among the device nodes. Whoever names /dev/sdz means a device; a
 * file made there would be in memory, gone at the next boot, and reported as a success.
 */
#ifndef BASE_PLACE_H
#define BASE_PLACE_H

#include "base/error.h"

/* Whether a folder is in a devtmpfs, or is /dev itself or below it. File systems mounted there,
 * /dev/shm say, take files like any other. False when it cannot be opened. */
bool place_has_devices(const char *folder);

/* Whether a file or folder may be made at path: ERR_USAGE when its folder is for devices. What else
 * is wrong with it is left to whoever makes it. */
int place_check(const char *path, struct error *err);

/* Makes a folder that only its owner may use, if there is none yet. *made: there was none. */
int place_make_folder(const char *path, bool *made, struct error *err);

#endif
