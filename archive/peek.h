/*
 * What begins like an archive.
 */
#ifndef ARCHIVE_PEEK_H
#define ARCHIVE_PEEK_H

#include "format/format.h"

/* Whether a file of a folder begins like a VMAB archive, and which uuid that has; which proves
 * nothing. What is no plain file is not opened: in /dev, to open a watchdog is to start it. *sys:
 * why it cannot be read, or 0. */
bool peek_archive(int folder, const char *name, uint8_t uuid[UUID_SIZE], int *sys);

#endif
