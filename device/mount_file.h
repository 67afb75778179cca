/*
 * One file of a mount, and what is done with it. Private to device/.
 */
#ifndef DEVICE_MOUNT_FILE_H
#define DEVICE_MOUNT_FILE_H

#include "base/error.h"

struct mount_file {
	const char *name; /* borrowed; distinct, without '/' */
	uint64_t size_bytes;
	/* As view_read and view_status, several at the same time. */
	int (*read)(void *context, uint64_t offset, void *to, size_t n);
	int (*status)(void *context, uint64_t offset, uint64_t *n, bool *zero);
	/* NULL: it can only be read. As drive_write, drive_zero and drive_flush. */
	int (*write)(void *context, uint64_t offset, const void *from, size_t n);
	int (*zero)(void *context, uint64_t offset, uint64_t n, bool may_trim);
	int (*flush)(void *context);
	void *context; /* borrowed */
};

/* All: 0 or an errno value. */

/* Where data or a hole, as wanted, begins from *at on; the end is a hole. */
int mount_file_seek(const struct mount_file *file, bool hole, uint64_t *at);
/* As write(2): *done is how many of n bytes lie within it. ENOSPC: none does. */
int mount_file_write(const struct mount_file *file, uint64_t offset, const void *from, size_t n,
		     size_t *done);
/* As fallocate(2), for ranges that become zeros. */
int mount_file_allocate(const struct mount_file *file, int mode, uint64_t offset, uint64_t n);

#endif
