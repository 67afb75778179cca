/*
 * The bits of a bitmap in a qcow2 image.
 */
#ifndef DRIVE_QCOW2BITS_H
#define DRIVE_QCOW2BITS_H

#include "drive/qcow2file.h"

/* Calls back for each range of the drive, in bytes, that has set bits, in ascending order; the last
 * may end past the drive. A bitmap that cannot be believed is an error: of qcow2_bitmap_check. */
int qcow2_file_bits(const struct qcow2_file *file, const struct qcow2_bitmap *bitmap,
		    int (*one)(void *context, uint64_t from, uint64_t to, struct error *err),
		    void *context, struct error *err);

#endif
