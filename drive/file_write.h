/*
 * A raw image or block device, and what a guest does to it. Private to drive/file*.c.
 */
#ifndef DRIVE_FILE_WRITE_H
#define DRIVE_FILE_WRITE_H

#include "drive/disk.h"
#include "drive/image.h"
#include "drive/kind.h"

struct file_drive {
	struct drive drive;
	const char *path; /* borrowed */
	struct image image;
	int direct_fd;	      /* -1: read through the page cache */
	atomic_bool no_holes; /* the file system or device cannot tell: all is data */
	/* For writing. */
	struct disk disk;
	atomic_bool cannot_now;	 /* no write without waiting */
	atomic_int flush_failed; /* errno: what was written may be lost */
};

static inline struct file_drive *file_of(struct drive *drive)
{
	return (struct file_drive *)drive;
}

int file_read_now(struct drive *drive, uint64_t offset, void *to, uint32_t n);
int file_write(struct drive *drive, uint64_t offset, const void *from, uint32_t n, unsigned flags);
int file_zero(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags);
int file_trim(struct drive *drive, uint64_t offset, uint64_t n);
int file_flush(struct drive *drive);

#endif
