#include "drive/file_write.h"

#include "base/bytes.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE	4096u
#define NOW_MAX (256u << 10)

int file_read_now(struct drive *drive, uint64_t offset, void *to, uint32_t n)
{
	struct iovec part = {to, n};
	ssize_t got = preadv2(file_of(drive)->image.fd, &part, 1, (off_t)offset, RWF_NOWAIT);

	return got == (ssize_t)n ? 0 : EAGAIN;
}

/* Most file systems cannot promise not to block. There a short write of whole pages is just a copy
 * into the page cache, unless the kernel throttles a writer with too many dirty pages. */
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

/* Once data may be lost, no later flush can promise that it is on the disk: the kernel reports a
 * failure once, to the next sync, and then considers the pages clean. */
static int note_sync(struct file_drive *file, int failed)
{
	if (failed != 0)
		atomic_store(&file->flush_failed, failed);
	return failed;
}

/* Writes the same data again: that syncs only these pages, while fdatasync would make the guest
 * wait for all of them. A write without room on the disk failed before this and lost nothing; what
 * fails here may be older data. */
static int write_through(struct file_drive *file, uint64_t offset, const void *from, uint32_t n)
{
	int failed = atomic_load(&file->flush_failed);

	if (failed != 0)
		return failed;
	return note_sync(file, io_pwrite(file->image.fd, from, n, offset, RWF_DSYNC));
}

/* A writer of gigabytes that leaves this to the kernel is stopped by it for long, and makes others
 * wait; and pages that are free again cost less than ever new ones. */
static int write_behind(struct file_drive *file, uint64_t offset, uint32_t n)
{
	uint64_t first = offset / PAGE,
		 pages = least((offset + n - 1) / PAGE + 1 - first, PAGE - 1);
	unsigned turn = atomic_fetch_add(&file->n_behind, 1) % BEHIND_N;
	uint64_t old = atomic_exchange(&file->behind[turn], first * PAGE + pages);
	uint64_t old_at = old / PAGE * PAGE, old_n = old % PAGE * PAGE;
	int fd = file->image.fd;
	int failed = writeback_range(fd, offset, n, SYNC_FILE_RANGE_WRITE);

	if (failed == 0 && old != 0) {
		failed = writeback_range(fd, old_at, old_n,
					 SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
						 SYNC_FILE_RANGE_WAIT_AFTER);
		posix_fadvise(fd, (off_t)old_at, (off_t)old_n, POSIX_FADV_DONTNEED);
	}
	return note_sync(file, failed);
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
		/* Finishes what it began: the caller may repeat only a write that did nothing. */
		done = done < 0 ? 0 : done;
		return io_pwrite(fd, (const uint8_t *)from + done, n - (uint32_t)done,
				 offset + (uint64_t)done, 0);
	}
	int code = io_pwrite(fd, from, n, offset, 0);
	if (code == 0 && (flags & DRIVE_BEHIND))
		code = write_behind(file, offset, n);
	return code == 0 && (flags & DRIVE_FUA) ? write_through(file, offset, from, n) : code;
}

int file_zero(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags)
{
	struct file_drive *file = file_of(drive);
	unsigned ways = (flags & DRIVE_MAY_TRIM ? DISK_MAY_PUNCH : 0) |
			(flags & DRIVE_FAST ? DISK_FAST : 0);
	int code = 0;

	if (flags & DRIVE_NOW)
		return EAGAIN;
	if (!(flags & DRIVE_MAY_TRIM) || drive->ops->zeros(drive, offset) < n)
		code = disk_zero(&file->disk, offset, n, ways);
	return code == 0 && (flags & DRIVE_FUA) ? file_flush(drive) : code;
}

/* Whole grains only: a hint is not worth writing zeros. The end of a drive counts as whole. */
int file_trim(struct drive *drive, uint64_t offset, uint64_t n)
{
	struct file_drive *file = file_of(drive);
	uint64_t grain = file->disk.grain, end = offset + n;
	uint64_t first = (offset + grain - 1) / grain * grain;
	uint64_t last =
		end == drive->size_bytes && !file->disk.is_device ? end : end / grain * grain;

	if (first >= last || drive->ops->zeros(drive, first) >= last - first)
		return 0;
	int code = disk_punch(&file->disk, first, last - first);
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
