/*
 * Who else uses an image file or a block device, as far as the kernel reveals it. The caller checks
 * exclusive claims and QEMU's locks; this finds users that claim nothing: loop devices, and devices
 * that are exported to Xen's guests or by the SCSI target.
 */
#ifndef DRIVE_INUSE_H
#define DRIVE_INUSE_H

#include "base/error.h"

/* ERR_LOCKED if the file or device that is open as fd, or anything below it, is used by others: for
 * writing, or in any way if will_write is set. Below it are the disk of a partition, the devices
 * under a device of the device mapper, and the file under a loop device, down to the bottom. path
 * is for messages. */
int inuse_check(int fd, const char *path, bool will_write, struct error *err);

#endif
