/*
 * Files that hold one bitmap of a drive, a bit for each cluster, and nothing else: qcow2 images
 * that QEMU takes a bitmap from, or puts one in (format/qcow2_build.h).
 */
#ifndef DRIVE_BITMAPFILE_H
#define DRIVE_BITMAPFILE_H

#include "base/clusterset.h"

extern const char bitmap_file_name[]; /* of the bitmap in it */

/* Into an empty file: the clusters of the set, all of which are of the drive. ERR_UNSUPPORTED: the
 * drive can have no bitmap. path is for messages. */
int bitmap_file_write(int fd, const char *path, uint64_t size_bytes, const struct cluster_set *set,
		      struct error *err);
/* What is in such a file of a drive of that size, into an empty set, which is to be freed also
 * after a failure. */
int bitmap_file_read(const char *path, uint64_t size_bytes, struct cluster_set *out,
		     struct error *err);

#endif
