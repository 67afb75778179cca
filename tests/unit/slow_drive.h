/*
 * A drive over another one that takes its time now and then.
 */
#ifndef TESTS_SLOW_DRIVE_H
#define TESTS_SLOW_DRIVE_H

#include "drive/kind.h"

#include <time.h>

struct slow_drive {
	struct drive drive;
	struct drive *file;
};

static struct drive *file_below(struct drive *drive)
{
	return ((struct slow_drive *)drive)->file;
}

/* One in some takes long. */
static void take_time(void)
{
	static _Atomic uint32_t n;
	const struct timespec moment = {.tv_nsec = 300000};

	if (atomic_fetch_add(&n, 1) % 37 == 0)
		nanosleep(&moment, NULL);
}

static int slow_read(struct drive *drive, uint64_t offset, void *buffer, size_t n,
		     struct error *err)
{
	take_time();
	return drive_read(file_below(drive), offset, buffer, n, err);
}

static int slow_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
		       struct error *err)
{
	return drive_status(file_below(drive), offset, n, zero, err);
}

static uint64_t slow_zeros(struct drive *drive, uint64_t offset)
{
	return drive_zeros(file_below(drive), offset);
}

static int slow_write(struct drive *drive, uint64_t offset, const void *from, uint32_t n,
		      unsigned flags)
{
	take_time();
	return drive_write(file_below(drive), offset, from, n, flags);
}

static int slow_zero(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags)
{
	return drive_zero(file_below(drive), offset, n, flags);
}

static int slow_trim(struct drive *drive, uint64_t offset, uint64_t n)
{
	return drive_trim(file_below(drive), offset, n);
}

static int slow_flush(struct drive *drive)
{
	return drive_flush(file_below(drive));
}

static const struct drive_ops slow_ops = {
	.read = slow_read,
	.status = slow_status,
	.zeros = slow_zeros,
	.write = slow_write,
	.zero = slow_zero,
	.trim = slow_trim,
	.flush = slow_flush,
};

#endif
