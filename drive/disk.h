/*
 * Zeros and holes in a file or block device that a guest or a restore writes to.
 *
 * fallocate does the same for devices as for files: punching a hole unmaps without ever writing
 * zeros, zeroing a range writes them if the device has no command for it. What is not supported is
 * not tried again. Any thread.
 */
#ifndef DRIVE_DISK_H
#define DRIVE_DISK_H

#include "base/error.h"

#include <stdatomic.h>

struct disk {
	int fd; /* borrowed */
	bool is_device;
	uint32_t grain; /* bytes: holes, and zeros of a device, begin and end at multiples of it */
	atomic_bool cannot_punch, cannot_zero;
};

/* path is for messages. */
int disk_init(struct disk *disk, int fd, const char *path, struct error *err);

/* These return 0 or an errno value. A hole of a device has whole grains. */
int disk_write_zeros(struct disk *disk, uint64_t offset, uint64_t n);
int disk_punch(struct disk *disk, uint64_t offset, uint64_t n); /* EOPNOTSUPP: there are no holes */

enum disk_way {
	DISK_MAY_PUNCH = 1, /* holes are welcome */
	DISK_FAST = 2,	    /* ENOTSUP, and nothing done, unless it is faster than writing zeros */
};
/* Zeros by the fastest way that works: a hole, ZERO_RANGE, writing them. ways: enum disk_way. */
int disk_zero(struct disk *disk, uint64_t offset, uint64_t n, unsigned ways);

/* Syncs if asked to, and closes, because some file systems report failed writes only then. *fd is
 * -1 once it is closed. */
int disk_end(int *fd, const char *path, bool sync, struct error *err);

#endif
