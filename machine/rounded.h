/*
 * QEMU shows a machine whole sectors of 512 bytes. The last one of a raw image whose size is no
 * multiple of that ends in zeros that are not in the file.
 */
#ifndef MACHINE_ROUNDED_H
#define MACHINE_ROUNDED_H

#include "machine/machine.h"

/* Tells the watcher if the drive's file is smaller than the drive by less than a sector. */
void rounded_note(const struct machine_drive *drive, const struct watcher *watcher);

#endif
