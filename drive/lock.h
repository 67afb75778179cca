/*
 * Who else uses an image file, by QEMU's locks.
 *
 * QEMU announces what it does with an image by shared locks on single bytes: 100 + n means that it
 * uses permission n, 200 + n that no one else may. Permission 0 is reading, 1 writing, 2 writing
 * unchanged data, 3 resizing. Our own writers do the same, so that QEMU, backups and other writers
 * see them. On a file system without locks every image looks unused.
 */
#ifndef DRIVE_LOCK_H
#define DRIVE_LOCK_H

#include <stdbool.h>

/* Whether another process writes to the file, or uses it in any way. Takes no lock, so that it does
 * not get in the way of a process that starts meanwhile. */
bool lock_others_write(int fd);
bool lock_others_use(int fd);

/* Held until the file is closed; false: others are in the way. */
bool lock_to_keep(int fd);    /* no one may write to it */
bool lock_to_write(int fd);   /* as a QEMU that writes: others may read */
bool lock_to_replace(int fd); /* no other process may use it at all */

#endif
