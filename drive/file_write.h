/*
 * A raw image or block device, and a guest's requests to it. Private to drive/file*.c.
 */
#ifndef DRIVE_FILE_WRITE_H
#define DRIVE_FILE_WRITE_H

#include "drive/backing.h"
#include "drive/kind.h"

#define BEHIND_N 128 /* writes on their way to the disk while more are written */

struct file_drive {
	struct drive drive;
	const char *path; /* borrowed */
	struct image image;
	int direct_fd;	      /* -1: read through the page cache */
	atomic_bool no_holes; /* no SEEK_DATA here: everything counts as data */
	/* For writing. */
	struct disk disk;
	atomic_bool cannot_now;	 /* RWF_NOWAIT is not supported */
	atomic_int flush_failed; /* errno: written data may be lost */
	/* The latest writes with DRIVE_BEHIND, in turn: the first page, and the number of pages. */
	_Atomic uint64_t behind[BEHIND_N];
	atomic_uint n_behind;
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
