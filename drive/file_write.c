/*
 * Raw images and block devices: what a guest does to them.
 *
 * fallocate does for devices what it does for files: to punch a hole unmaps without ever writing
 * zeros, to zero a range writes them if the device cannot do it by itself. Devices take whole
 * sectors only; what is left at the edges is written.
 */
#include "drive/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE	   4096u
#define NOW_MAX	   (256u << 10)
#define ZEROS_SIZE (256u << 10)

static const uint8_t zeros[ZEROS_SIZE];

int file_prepare_writing(struct file_drive *file, struct error *err)
{
	int sector = 0;

	file->is_device = S_ISBLK(file->image.opened.st_mode);
	file->grain = PAGE;
	if (!file->is_device)
		return 0;
	if (ioctl(file->image.fd, BLKSSZGET, &sector) != 0)
		return fail_system(err, errno, "%s: asking for its sectors", file->path);
	if ((uint32_t)sector > file->grain)
		file->grain = (uint32_t)sector;
	return 0;
}

int file_read_now(struct drive *drive, uint64_t offset, void *to, uint32_t n)
{
	struct iovec part = {to, n};
	ssize_t got = preadv2(file_of(drive)->image.fd, &part, 1, (off_t)offset, RWF_NOWAIT);

	return got == (ssize_t)n ? 0 : EAGAIN;
}

/* No write at all without waiting on most file systems. There whole pages are only copied into
 * memory, unless the kernel holds up a writer that has too much there. */
static bool is_short(const struct file_drive *file, uint64_t offset, uint32_t n)
{
	return atomic_load_explicit(&file->cannot_now, memory_order_relaxed) && n <= NOW_MAX &&
	       (offset | n) % PAGE == 0;
}

/* How many bytes were written without waiting, or a negative errno. */
static int write_now(struct file_drive *file, uint64_t offset, const void *from, uint32_t n)
{
	struct iovec part = {(void *)from, n};

	if (atomic_load_explicit(&file->cannot_now, memory_order_relaxed))
		return -EAGAIN;
	ssize_t done = pwritev2(file->image.fd, &part, 1, (off_t)offset, RWF_NOWAIT);
	if (done > 0)
		return (int)done;
	if (done < 0 && errno == EOPNOTSUPP)
		atomic_store_explicit(&file->cannot_now, true, memory_order_relaxed);
	return done < 0 && errno != EOPNOTSUPP ? -errno : -EAGAIN;
}

static int write_all(int fd, uint64_t offset, const void *from, uint32_t n, int how)
{
	struct iovec part = {(void *)from, n};

	while (part.iov_len > 0) {
		ssize_t done = how != 0 ? pwritev2(fd, &part, 1, (off_t)offset, how)
					: pwrite(fd, part.iov_base, part.iov_len, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? errno : EIO;
		part.iov_base = (uint8_t *)part.iov_base + done;
		part.iov_len -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

/* Once data may be lost no later flush can promise that it is there: the kernel tells of a failure
 * once, to whatever syncs next, and then takes the pages for clean. */
static int note_sync(struct file_drive *file, int failed)
{
	if (failed != 0)
		atomic_store(&file->flush_failed, failed);
	return failed;
}

/* What was written just now, once more: so only these pages are synced, where fdatasync would make
 * the guest wait for all. A write that found no room has failed before this, and has lost nothing;
 * what fails here may be older data. */
static int write_through(struct file_drive *file, uint64_t offset, const void *from, uint32_t n)
{
	int failed = atomic_load(&file->flush_failed);

	if (failed != 0)
		return failed;
	return note_sync(file, write_all(file->image.fd, offset, from, n, RWF_DSYNC));
}

int file_write(struct drive *drive, uint64_t offset, const void *from, uint32_t n, unsigned flags)
{
	struct file_drive *file = file_of(drive);
	int fd = file->image.fd;

	if (flags & DRIVE_NOW) {
		if (flags & DRIVE_FUA)
			return EAGAIN;
		int done = is_short(file, offset, n) ? 0 : write_now(file, offset, from, n);
		if (done < 0 && !is_short(file, offset, n))
			return -done;
		/* The rest is not put off: who asks again must find nothing done. */
		done = done < 0 ? 0 : done;
		return write_all(fd, offset + (uint64_t)done, (const uint8_t *)from + done,
				 n - (uint32_t)done, 0);
	}
	int code = write_all(fd, offset, from, n, 0);
	return code == 0 && (flags & DRIVE_FUA) ? write_through(file, offset, from, n) : code;
}

static int write_zeros(struct file_drive *file, uint64_t offset, uint64_t n)
{
	int code = 0;

	for (uint64_t at = 0; at < n && code == 0; at += ZEROS_SIZE) {
		uint32_t part = n - at < ZEROS_SIZE ? (uint32_t)(n - at) : ZEROS_SIZE;
		code = write_all(file->image.fd, offset + at, zeros, part, 0);
	}
	return code;
}

/* Takes the way that mode is, unless it was found closed before. EOPNOTSUPP if it is closed. */
static int try_fallocate(struct file_drive *file, int mode, atomic_bool *closed, uint64_t offset,
			 uint64_t n)
{
	int code;

	if (atomic_load_explicit(closed, memory_order_relaxed))
		return EOPNOTSUPP;
	do
		code = fallocate(file->image.fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset,
				 (off_t)n);
	while (code != 0 && errno == EINTR);
	if (code == 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == ENOSYS || errno == ENOTTY) {
		atomic_store_explicit(closed, true, memory_order_relaxed);
		return EOPNOTSUPP;
	}
	return errno;
}

static int punch(struct file_drive *file, uint64_t offset, uint64_t n)
{
	return try_fallocate(file, FALLOC_FL_PUNCH_HOLE, &file->cannot_punch, offset, n);
}

/* n bytes of whole sectors, if it is a device. */
static int zero_inside(struct file_drive *file, uint64_t offset, uint64_t n, unsigned flags)
{
	int code = EOPNOTSUPP;

	if (flags & DRIVE_MAY_TRIM) {
		if (file->drive.ops->zeros(&file->drive, offset) >= n)
			return 0;
		code = punch(file, offset, n);
	}
	/* A device that has to write them does so without telling. */
	if (code == EOPNOTSUPP && !(file->is_device && (flags & DRIVE_FAST)))
		code = try_fallocate(file, FALLOC_FL_ZERO_RANGE, &file->cannot_zero, offset, n);
	if (code == EOPNOTSUPP)
		code = flags & DRIVE_FAST ? ENOTSUP : write_zeros(file, offset, n);
	return code;
}

int file_zero(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags)
{
	struct file_drive *file = file_of(drive);
	uint64_t grain = file->is_device ? file->grain : 1, end = offset + n;
	uint64_t first = (offset + grain - 1) / grain * grain, last = end / grain * grain;
	int code = 0;

	if (flags & DRIVE_NOW)
		return EAGAIN;
	if (first >= last) {
		code = write_zeros(file, offset, n);
	} else {
		/* The inside first: if it cannot be had fast nothing is done. */
		code = zero_inside(file, first, last - first, flags);
		if (code == 0)
			code = write_zeros(file, offset, first - offset);
		if (code == 0)
			code = write_zeros(file, last, end - last);
	}
	if (code == 0 && (flags & DRIVE_FUA))
		code = file_flush(drive);
	return code;
}

/* Whole grains only: a hint is not worth writing for. The end of a drive is a whole one too. */
int file_trim(struct drive *drive, uint64_t offset, uint64_t n)
{
	struct file_drive *file = file_of(drive);
	uint64_t grain = file->grain, end = offset + n;
	uint64_t first = (offset + grain - 1) / grain * grain;
	uint64_t last = end == drive->size_bytes && !file->is_device ? end : end / grain * grain;

	if (first >= last || drive->ops->zeros(drive, first) >= last - first)
		return 0;
	int code = punch(file, first, last - first);
	return code == EOPNOTSUPP ? 0 : code;
}

int file_flush(struct drive *drive)
{
	struct file_drive *file = file_of(drive);
	int failed = atomic_load(&file->flush_failed);

	if (failed != 0)
		return failed;
	return note_sync(file, fdatasync(file->image.fd) == 0 ? 0 : errno);
}
