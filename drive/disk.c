#include "drive/backing.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE	   4096u /* so that the kernel need not split a page between cache and device */
#define ZEROS_SIZE (256u << 10)

static const uint8_t zeros[ZEROS_SIZE];

int disk_init(struct disk *disk, int fd, const char *path, struct error *err)
{
	struct stat st;
	int sector = 0;

	if (fstat(fd, &st) != 0)
		return fail_system(err, errno, "%s", path);
	disk->fd = fd;
	disk->is_device = S_ISBLK(st.st_mode);
	disk->grain = PAGE;
	if (!disk->is_device)
		return 0;
	if (ioctl(fd, BLKSSZGET, &sector) != 0)
		return fail_system(err, errno, "%s: asking for its sectors", path);
	if ((uint32_t)sector > disk->grain)
		disk->grain = (uint32_t)sector;
	return 0;
}

int disk_write_zeros(struct disk *disk, uint64_t offset, uint64_t n)
{
	int sys = 0;

	for (uint64_t at = 0; at < n && sys == 0; at += ZEROS_SIZE) {
		size_t part = n - at < ZEROS_SIZE ? (size_t)(n - at) : ZEROS_SIZE;
		sys = io_pwrite(disk->fd, zeros, part, offset + at, 0);
	}
	return sys;
}

/* fallocate by this mode. EOPNOTSUPP: not supported here, which *closed remembers. */
static int try_fallocate(struct disk *disk, int mode, atomic_bool *closed, uint64_t offset,
			 uint64_t n)
{
	int code;

	if (atomic_load_explicit(closed, memory_order_relaxed))
		return EOPNOTSUPP;
	do
		code = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n);
	while (code != 0 && errno == EINTR);
	if (code == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != ENOTTY)
		return errno;
	atomic_store_explicit(closed, true, memory_order_relaxed);
	return EOPNOTSUPP;
}

int disk_punch(struct disk *disk, uint64_t offset, uint64_t n)
{
	return try_fallocate(disk, FALLOC_FL_PUNCH_HOLE, &disk->cannot_punch, offset, n);
}

/* A device takes n bytes of whole sectors. If fallocate fails for a serious reason, so will
 * writing. */
static int zero_inside(struct disk *disk, uint64_t offset, uint64_t n, unsigned ways)
{
	if (ways & DISK_MAY_PUNCH && disk_punch(disk, offset, n) == 0)
		return 0;
	/* A device may have to write the zeros, and does not tell. */
	if (!(disk->is_device && ways & DISK_FAST) &&
	    try_fallocate(disk, FALLOC_FL_ZERO_RANGE, &disk->cannot_zero, offset, n) == 0)
		return 0;
	return ways & DISK_FAST ? ENOTSUP : disk_write_zeros(disk, offset, n);
}

/* Devices take whole sectors only; zeros at the edges are written. */
int disk_zero(struct disk *disk, uint64_t offset, uint64_t n, unsigned ways)
{
	uint64_t grain = disk->is_device ? disk->grain : 1, end = offset + n;
	uint64_t first = (offset + grain - 1) / grain * grain, last = end / grain * grain;

	if (first >= last)
		return disk_write_zeros(disk, offset, n);
	/* The inside first, so that nothing has been done if it is not fast. */
	int sys = zero_inside(disk, first, last - first, ways);
	if (sys == 0)
		sys = disk_write_zeros(disk, offset, first - offset);
	return sys == 0 ? disk_write_zeros(disk, last, end - last) : sys;
}

int disk_end(int *fd, const char *path, bool sync, struct error *err)
{
	if (sync && fsync(*fd) != 0)
		return fail_system(err, errno, "%s: syncing", path);
	int code = close(*fd);

	*fd = -1;
	return code != 0 ? fail_system(err, errno, "%s: closing", path) : 0;
}
