/*
 * Block devices.
 *
 * All data is written first, in whole clusters, and synced; then everything else is made zero. That
 * order is for thin volumes of a pool that does not zero what it hands out. Such a volume reads as
 * zeros where nothing was written; the first write into a chunk of it, which may have up to 1 GiB,
 * gives the rest of the chunk what the pool held there before. So to look for zeros is of no use
 * while anything is yet to be written.
 *
 * To punch a hole into a device is to have the kernel zero it by whatever the device offers: unmap,
 * discard that is known to zero, WRITE ZEROES. Where there is no such thing zeros are written, but
 * only where there are none yet: that is less work for the device, and keeps a thin volume thin.
 *
 * These zeros may themselves be the first write into a chunk: when the volume is partitioned
 * so that a page lies in two chunks. So after a pass that wrote anything all is looked at again,
 * past the page cache, which keeps what a chunk read as before. A pass that found nothing to write
 * changed nothing: all that it saw is so. The last pass that may be needed does not look and
 * writes: it leaves no cluster that was not written.
 */
#include "drive/target_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGE	      4096u  /* so that the kernel need not split a page between cache and device */
#define PUNCH_MAX     16384u /* clusters in one call, for signals and errors to come through */
#define LOOK_CLUSTERS 64u    /* read at once */
#define LOOKS_MAX     4u     /* passes that look before they write */

static const uint8_t zeros[CLUSTER_SIZE];

/* ---- zeros ---- */

/* All or nothing. */
static bool punch_rest(struct target *target)
{
	uint64_t cluster = 0, n;

	for (; rest_next(target->rest, &cluster, &n, PUNCH_MAX); cluster += n)
		if (!target_punch(target, cluster * CLUSTER_SIZE, n * CLUSTER_SIZE))
			return false;
	return true;
}

/* Writes zeros to a cluster that reads as these bytes; NULL: it is not known what it reads as. */
static int blank(struct target *target, uint64_t cluster, const uint8_t *bytes, struct error *err)
{
	uint32_t grain = target->grain, from = 0, to = CLUSTER_SIZE;

	while (bytes != NULL && from < to && memcmp(bytes + from, zeros, grain) == 0)
		from += grain;
	while (bytes != NULL && from < to && memcmp(bytes + to - grain, zeros, grain) == 0)
		to -= grain;
	if (from == to)
		return 0;
	target->n_blanked++;
	if (to - from == CLUSTER_SIZE)
		rest_mark(target->rest, cluster, 1);
	return target_pwrite(target, cluster * CLUSTER_SIZE + from, zeros, to - from, err);
}

/* What cannot be read is to be written. */
static bool look(const struct target *target, uint64_t cluster, uint64_t n, uint8_t *buffer)
{
	ssize_t got;

	do
		got = pread(target->look_fd, buffer, n * CLUSTER_SIZE,
			    (off_t)(cluster * CLUSTER_SIZE));
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)(n * CLUSTER_SIZE);
}

static int blank_once(struct target *target, uint8_t *buffer, bool may_look, struct error *err)
{
	uint64_t cluster = 0, n;

	for (; rest_next(target->rest, &cluster, &n, LOOK_CLUSTERS); cluster += n) {
		bool known = may_look && look(target, cluster, n, buffer);
		for (uint64_t i = 0; i < n; i++) {
			int code = blank(target, cluster + i,
					 known ? buffer + i * CLUSTER_SIZE : NULL, err);
			if (code != 0)
				return code;
		}
	}
	return 0;
}

static int sync_device(const struct target *target, struct error *err)
{
	return fsync(target->fd) != 0 ? fail_system(err, errno, "%s: syncing", target->path) : 0;
}

static int blank_rest(struct target *target, struct error *err)
{
	uint8_t *buffer = aligned_alloc(CLUSTER_SIZE, LOOK_CLUSTERS * CLUSTER_SIZE);
	uint64_t before;
	int code = 0;

	if (buffer == NULL)
		return fail_system(err, ENOMEM, "%s", target->path);
	for (unsigned pass = 1; code == 0; pass++) {
		before = target->n_blanked;
		code = blank_once(target, buffer, target->look_fd >= 0 && pass <= LOOKS_MAX, err);
		if (code != 0 || target->n_blanked == before)
			break;
		code = sync_device(target, err);
	}
	free(buffer);
	return code;
}

/* ---- the end ---- */

/* Makes the cluster that ends or begins at this byte, within it, a written one: what remains is
 * whole clusters then. */
static int complete_cluster(struct target *target, uint64_t at, struct error *err)
{
	uint64_t cluster = at / CLUSTER_SIZE, begin = cluster * CLUSTER_SIZE, end;

	if (at == begin)
		return 0;
	end = target->end_bytes - begin < CLUSTER_SIZE ? target->end_bytes : begin + CLUSTER_SIZE;
	if (!rest_has(target->rest, cluster))
		begin = at;
	rest_mark(target->rest, cluster, 1);
	return target_pwrite(target, begin, zeros, end - begin, err);
}

static int device_settle(struct target *target, struct error *err)
{
	int code = complete_cluster(target, target->size_bytes, err);

	if (code == 0)
		code = complete_cluster(target, target->end_bytes, err);
	return code == 0 ? sync_device(target, err) : code;
}

static int device_finish(struct target *target, struct error *err)
{
	return punch_rest(target) ? 0 : blank_rest(target, err);
}

static void device_close(struct target *target)
{
	if (target->look_fd >= 0)
		close(target->look_fd);
}

static const struct target_kind device_kind = {
	.settle = device_settle,
	.finish = device_finish,
	.close = device_close,
	.keeps_rest = true,
	.zeros_last = true,
};

/* ---- opening ---- */

/* Of the same device, whatever its name leads to by now. Without it all zeros are written. */
static int open_past_the_cache(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
}

int target_device_open(struct target *target, struct error *err)
{
	int sector = 0, read_only = 0;

	target->kind = &device_kind;
	target->fd = open(target->path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (target->fd < 0 && errno == EBUSY)
		return fail(err, ERR_LOCKED, "%s: is mounted or otherwise in use", target->path);
	if (target->fd < 0)
		return fail_system(err, errno, "%s", target->path);
	if (ioctl(target->fd, BLKGETSIZE64, &target->old_bytes) != 0 ||
	    ioctl(target->fd, BLKSSZGET, &sector) != 0)
		return fail_system(err, errno, "%s: asking for its size", target->path);
	if (ioctl(target->fd, BLKROGET, &read_only) == 0 && read_only != 0)
		return fail(err, ERR_USAGE, "%s: is read-only", target->path);
	target->grain = (uint32_t)sector > PAGE ? (uint32_t)sector : PAGE;
	target->look_fd = open_past_the_cache(target->fd);
	TRY(target_fit(target, err));
	TRY(target_lock(target, target->fd, err));
	return target_check_content(target, target->old_bytes, err);
}
