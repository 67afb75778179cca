/*
 * Block devices.
 *
 * All data is written first, in whole clusters, and synced; then everything else is zeroed. This
 * order is for thin volumes of a pool that does not zero the chunks it hands out. Such a volume
 * reads as zeros where nothing was written, but the first write into a chunk, which may be as large
 * as 1 GiB, exposes whatever the pool held in the rest of the chunk. So looking for zeros is
 * useless as long as any data is still to be written.
 *
 * Punching a hole into a device makes the kernel zero it by whatever the device offers: unmap,
 * discard that is known to zero, WRITE ZEROES. If the device offers nothing, zeros are written, but
 * only where it does not read as zeros yet: that is less work for the device, and keeps a thin
 * volume thin.
 *
 * These zeros may themselves be the first write into a chunk, when the volume is partitioned such
 * that a page lies in two chunks. So after each pass that wrote anything the rest is checked again,
 * past the page cache, which still has what the chunk read as before. A pass that writes nothing
 * changes nothing, so what it saw holds. The last pass, if needed, writes without looking and
 * leaves no cluster unwritten.
 */
#include "drive/target_parts.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PUNCH_MAX     16384u /* clusters per call, so that signals and errors are noticed */
#define LOOK_CLUSTERS 64u    /* read per call */
#define LOOKS_MAX     4u     /* passes that look before they write */

struct device {
	struct target_raw raw;
	struct rest *rest;
	int look_fd;	    /* reads past the page cache; -1: none */
	uint64_t n_blanked; /* how often zeros were written */
};

static const uint8_t zeros[CLUSTER_SIZE];

/* ---- zeros ---- */

/* All or nothing. */
static bool punch_rest(struct device *device)
{
	uint64_t cluster = 0, n;

	for (; rest_next(device->rest, &cluster, &n, PUNCH_MAX); cluster += n) {
		if (disk_punch(&device->raw.disk, cluster * CLUSTER_SIZE, n * CLUSTER_SIZE) != 0)
			return false;
	}
	return true;
}

static int write_zeros(struct device *device, uint64_t offset, uint64_t n, struct error *err)
{
	int sys = disk_write_zeros(&device->raw.disk, offset, n);

	device->raw.target.written_bytes += n;
	return target_raw_result(&device->raw.target, sys, offset, err);
}

/* Zeroes a cluster that reads as these bytes; NULL: its content is unknown. */
static int blank(struct device *device, uint64_t cluster, const uint8_t *bytes, struct error *err)
{
	uint32_t grain = device->raw.disk.grain, from = 0, to = CLUSTER_SIZE;

	while (bytes != NULL && from < to && memcmp(bytes + from, zeros, grain) == 0)
		from += grain;
	while (bytes != NULL && from < to && memcmp(bytes + to - grain, zeros, grain) == 0)
		to -= grain;
	if (from == to)
		return 0;
	device->n_blanked++;
	if (to - from == CLUSTER_SIZE)
		rest_mark(device->rest, cluster, 1);
	return write_zeros(device, cluster * CLUSTER_SIZE + from, to - from, err);
}

/* False: it cannot be read, so it has to be written. */
static bool look(const struct device *device, uint64_t cluster, uint64_t n, uint8_t *buffer)
{
	return io_pread(device->look_fd, buffer, n * CLUSTER_SIZE, cluster * CLUSTER_SIZE, NULL) ==
	       0;
}

static int blank_once(struct device *device, uint8_t *buffer, bool may_look, struct error *err)
{
	uint64_t cluster = 0, n;

	for (; rest_next(device->rest, &cluster, &n, LOOK_CLUSTERS); cluster += n) {
		bool known = may_look && look(device, cluster, n, buffer);
		for (uint64_t i = 0; i < n; i++)
			TRY(blank(device, cluster + i, known ? buffer + i * CLUSTER_SIZE : NULL,
				  err));
	}
	return 0;
}

static int sync_device(const struct device *device, struct error *err)
{
	return fsync(device->raw.image.fd) == 0
		       ? 0
		       : fail_system(err, errno, "%s: syncing", device->raw.target.path);
}

static int blank_rest(struct device *device, struct error *err)
{
	uint8_t *buffer = aligned_alloc(CLUSTER_SIZE, LOOK_CLUSTERS * CLUSTER_SIZE);
	int code = 0;

	if (buffer == NULL)
		return fail_memory(err);
	for (unsigned pass = 1; code == 0; pass++) {
		uint64_t before = device->n_blanked;
		code = blank_once(device, buffer, device->look_fd >= 0 && pass <= LOOKS_MAX, err);
		if (code != 0 || device->n_blanked == before)
			break;
		code = sync_device(device, err);
	}
	free(buffer);
	return code;
}

/* ---- writing and the end ---- */

/* Marked first: if the write fails, so does the restore. */
static int device_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
			struct error *err)
{
	rest_mark_bytes(((struct device *)target)->rest, offset, n);
	return target_raw_write(target, offset, bytes, n, err);
}

static void device_keep(struct target *target, uint64_t offset, uint64_t n)
{
	rest_mark_bytes(((struct device *)target)->rest, offset, n);
}

/* If this byte is inside a cluster: zeroes the part of the cluster that is not written yet, and
 * marks it as written, so that only whole clusters remain. */
static int complete_cluster(struct device *device, uint64_t at, struct error *err)
{
	uint64_t cluster = at / CLUSTER_SIZE, begin = cluster * CLUSTER_SIZE;
	uint64_t all = rest_end(device->rest);
	uint64_t end = all - begin < CLUSTER_SIZE ? all : begin + CLUSTER_SIZE;

	if (at == begin)
		return 0;
	if (!rest_has(device->rest, cluster))
		begin = at;
	rest_mark(device->rest, cluster, 1);
	return write_zeros(device, begin, end - begin, err);
}

static int device_settle(struct target *target, struct error *err)
{
	struct device *device = (struct device *)target;

	TRY(complete_cluster(device, target->size_bytes, err));
	TRY(complete_cluster(device, rest_end(device->rest), err));
	return sync_device(device, err);
}

static int device_finish(struct target *target, struct error *err)
{
	struct device *device = (struct device *)target;

	if (target->rollback || !punch_rest(device))
		TRY(blank_rest(device, err));
	return disk_end(&device->raw.image.fd, target->path, target->sync, err);
}

static void device_close(struct target *target)
{
	struct device *device = (struct device *)target;

	if (device->look_fd >= 0)
		close(device->look_fd);
	rest_free(device->rest);
	target_raw_close(&device->raw);
}

/* ---- opening ---- */

/* The same device, even if its name means another one by now. If that fails, all zeros are written.
 */
static int open_past_the_cache(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
}

static int device_open(struct target *target, const struct target_options *options,
		       struct error *err)
{
	struct device *device = (struct device *)target;
	uint64_t room_bytes;

	device->look_fd = -1;
	target_raw_init(&device->raw);
	TRY(target_raw_open(&device->raw, options, CONTENT_RAW_TARGET, err));
	if (!device->raw.disk.is_device)
		return fail(err, ERR_USAGE, "%s: was replaced while it was opened", target->path);
	TRY(image_size(&device->raw.image, target->path, &room_bytes, err));
	device->look_fd = open_past_the_cache(device->raw.image.fd);
	TRY(rest_new(&device->rest, target->path, target->size_bytes, room_bytes, err));
	target->excess_bytes = rest_excess(device->rest);
	return 0;
}

const struct target_kind target_device = {
	.size = sizeof(struct device),
	.open = device_open,
	.write = device_write,
	.settle = device_settle,
	.finish = device_finish,
	.read = target_raw_read,
	.keep = device_keep,
	.close = device_close,
};
