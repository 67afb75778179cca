/*
 * What tells a drive's file or device from others, by something that stays with it.
 */
#ifndef BASE_IDENTITY_H
#define BASE_IDENTITY_H

#include <stdbool.h>
#include <sys/stat.h>

#define IDENTITY_SIZE 32u

/*
 * "inode-N" of a file. "device-HEX" of a block device: a sum of what the kernel tells of it that is
 * the same after a restart, which is the uuid of device mapper (LVM's volumes), the file and offset
 * of a loop device, a wwid or serial number, with a partition's beginning; and where there is
 * nothing of that, the boot and the number that the device has in it. Two devices with one identity
 * may be two ways to the same. False: it is neither, or cannot be told.
 */
bool identity_find(char out[IDENTITY_SIZE], const struct stat *found);
/* Of a device; root: what stands before /sys and /proc. */
bool identity_of_device(char out[IDENTITY_SIZE], const char *root, dev_t number);

#endif
