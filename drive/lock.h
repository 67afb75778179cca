/*
 * Who else uses an image file, by QEMU's locks.
 *
 * QEMU tells others what it does with an image by shared locks on single bytes: 100 + n says that
 * it uses permission n, and 200 + n that nobody else may. 0 is to read, 1 to write, 2 to write what
 * is there already, 3 to resize. A writer among our own does the same, so QEMU, backups and other
 * writers see it without knowing of each other. On a file system without locks all seems free.
 */
#ifndef DRIVE_LOCK_H
#define DRIVE_LOCK_H

#include <stdbool.h>

/* Whether another process writes to the file, or uses it in any way. Takes no lock, so nothing that
 * starts meanwhile is kept from it. */
bool lock_others_write(int fd);
bool lock_others_use(int fd);

/* Held until the file is closed; false: others are in the way. */
bool lock_to_write(int fd);   /* as a QEMU that writes: others may read */
bool lock_to_replace(int fd); /* nobody else may use it at all */

#endif
