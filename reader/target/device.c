/*
 * Block devices.
 *
 * To punch a hole into a device is to have the kernel zero it by whatever the device offers: unmap,
 * discard that is known to zero, WRITE ZEROES. Where there is no such thing zeros are written, but
 * only where there are none yet: that is less work for the device, and keeps a thin volume, which
 * reads as zeros where nothing was written, thin.
 */
#include "reader/target/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGE	  4096u /* so that the kernel need not split a page between cache and device */
#define PUNCH_MAX 1073741824u /* bytes in one call, for signals and errors to come through */

static const uint8_t zeros[CLUSTER_SIZE];

/* A part of at most CLUSTER_SIZE. */
static int blank_part(struct target *target, uint64_t offset, size_t n, struct error *err)
{
	uint8_t there[CLUSTER_SIZE];
	ssize_t got;

	do
		got = pread(target->fd, there, n, (off_t)offset);
	while (got < 0 && errno == EINTR);
	if (got == (ssize_t)n && memcmp(there, zeros, n) == 0)
		return 0;
	return target_pwrite(target, offset, zeros, n, err);
}

static int blank(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	while (n > 0) {
		size_t part = n < CLUSTER_SIZE ? (size_t)n : CLUSTER_SIZE;
		int rc = blank_part(target, offset, part, err);
		if (rc != 0)
			return rc;
		offset += part;
		n -= part;
	}
	return 0;
}

/* Both ends are multiples of the grain. */
static int punch_or_blank(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	while (n > 0) {
		uint64_t part = n < PUNCH_MAX ? n : PUNCH_MAX;
		if (!target_punch(target, offset, part))
			return blank(target, offset, n, err);
		offset += part;
		n -= part;
	}
	return 0;
}

static int device_zero(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	uint64_t end = offset + n;
	uint64_t from = (offset + target->grain - 1) / target->grain * target->grain;
	uint64_t to = end / target->grain * target->grain;

	if (from >= to)
		return blank(target, offset, n, err);
	int rc = blank(target, offset, from - offset, err);
	if (rc == 0)
		rc = punch_or_blank(target, from, to - from, err);
	if (rc == 0)
		rc = blank(target, to, end - to, err);
	return rc;
}

static int device_finish(struct target *target, struct error *err)
{
	if (target_excess(target) > 0)
		return 0;
	return device_zero(target, target->size_bytes, target->old_bytes - target->size_bytes, err);
}

static const struct target_kind device_kind = {
	.zero = device_zero, .finish = device_finish, .keeps_rest = true};

int target_device_open(struct target *target, struct error *err)
{
	int sector = 0;

	target->kind = &device_kind;
	target->fd = open(target->path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (target->fd < 0 && errno == EBUSY)
		return fail(err, ERR_LOCKED, "%s: is mounted or otherwise in use", target->path);
	if (target->fd < 0)
		return fail_system(err, errno, "%s", target->path);
	if (ioctl(target->fd, BLKGETSIZE64, &target->old_bytes) != 0 ||
	    ioctl(target->fd, BLKSSZGET, &sector) != 0)
		return fail_system(err, errno, "%s: asking for its size", target->path);
	target->grain = (uint32_t)sector > PAGE ? (uint32_t)sector : PAGE;
	TRY(target_check_size(target, err));
	TRY(target_lock(target, target->fd, err));
	return target_check_content(target, target->old_bytes, err);
}
