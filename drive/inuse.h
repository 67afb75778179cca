/*
 * Who else uses an image file or a block device, as far as the kernel tells. What others have open
 * exclusively, and QEMU's locks, are the caller's to find out; this is about those who claim
 * nothing: loop devices, and devices that are handed on to Xen's guests or by the SCSI target.
 */
#ifndef DRIVE_INUSE_H
#define DRIVE_INUSE_H

#include "base/error.h"

/* ERR_LOCKED when the file or device that is open as fd, or what it lies in, is used by others: for
 * writing, or, if will_write, at all. "What it lies in" are the disk of a partition, the devices
 * under one of the device mapper, and the file under a loop device, down to the bottom. path is for
 * the message. */
int inuse_check(int fd, const char *path, bool will_write, struct error *err);

#endif
