/*
 * debugfs of e2fsprogs, which reads ext2, ext3 and ext4 with owners, modes, times and links: one
 * process for as long as it is open. Private to device/.
 */
#ifndef DEVICE_DEBUGFS_H
#define DEVICE_DEBUGFS_H

#include "device/entry.h"

struct debugfs;

/* image: a file, in which the file system begins at offset. ERR_UNSUPPORTED: there is no such
 * program, or no such file system. The thread must outlive it. */
int debugfs_open(struct debugfs **out, const char *image, uint64_t offset, struct error *err);
void debugfs_close(struct debugfs *debugfs); /* NULL-safe */
void debugfs_reader(struct debugfs *debugfs, struct entry_reader *out);

/* What is at a path: its id, kind, size and the rest but the name; a link at its end is not
 * followed. ERR_UNSUPPORTED: the path has characters that cannot be handed over. */
int debugfs_find(struct debugfs *debugfs, const char *path, struct file_entry *out,
		 struct error *err);

#endif
