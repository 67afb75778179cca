/*
 * Who excludes whom. A write of whole blocks, or into blocks that are there already, holds "whole"
 * shared. One that has to fill up a block with what lies below holds it alone, so that it does not
 * put old bytes over new ones.
 */
#include "drive/overlay.h"

#include "base/bytes.h"
#include "base/io.h"
#include "drive/backing.h"
#include "drive/kind.h"
#include "drive/overlay_map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define NOW_MAX (256u << 10)

struct overlay {
	struct drive drive;
	struct drive_content below;
	struct overlay_place place;
	struct disk disk;
	struct overlay_map map;
	pthread_rwlock_t whole;
};

static struct overlay *overlay_of(struct drive *drive)
{
	return (struct overlay *)drive;
}

/* ---- the map ---- */

/* How many bytes from there on, at most n, are here, or are not. */
static uint64_t bytes_of_run(struct overlay *overlay, uint64_t offset, uint64_t n, bool *here)
{
	uint64_t block = offset / BLOCK_SIZE, last = (offset + n - 1) / BLOCK_SIZE;
	uint64_t run = overlay_map_run(&overlay->map, block, last - block + 1, here);

	return least((block + run) * BLOCK_SIZE - offset, n);
}

/* Room for so many more blocks of data; holes take none. */
static int take_blocks(struct overlay *overlay, uint64_t n)
{
	uint64_t left = atomic_load(&overlay->place.shared->n_left);

	do {
		if (n > left)
			return ENOSPC;
	} while (!atomic_compare_exchange_weak(&overlay->place.shared->n_left, &left, left - n));
	return 0;
}

/* ---- reading ---- */

static int read_here(struct overlay *overlay, uint64_t offset, void *to, size_t n, bool now)
{
	struct iovec part = {to, n};
	uint64_t at = overlay->place.data_at + offset;

	if (now)
		return preadv2(overlay->place.fd, &part, 1, (off_t)at, RWF_NOWAIT) == (ssize_t)n
			       ? 0
			       : EAGAIN;
	return io_pread(overlay->place.fd, to, n, at, NULL);
}

static int read_any(struct overlay *overlay, uint64_t offset, void *to, size_t n, bool now)
{
	uint8_t *next = to;

	while (n > 0) {
		bool here;
		size_t part = (size_t)bytes_of_run(overlay, offset, n, &here);
		int sys =
			here ? read_here(overlay, offset, next, part, now)
			     : overlay->below.read(overlay->below.context, offset, next, part, now);

		if (sys != 0)
			return sys;
		offset += part;
		next += part;
		n -= part;
	}
	return 0;
}

static int overlay_read(struct drive *drive, uint64_t offset, void *buffer, size_t n,
			struct error *err)
{
	int sys = read_any(overlay_of(drive), offset, buffer, n, false);

	return sys == 0
		       ? 0
		       : fail_system(err, sys, "%s: reading at byte %" PRIu64, drive->path, offset);
}

static int overlay_read_now(struct drive *drive, uint64_t offset, void *to, uint32_t n)
{
	return read_any(overlay_of(drive), offset, to, n, true);
}

/* Of what is here: a hole is zeros. */
static void status_here(const struct overlay *overlay, uint64_t offset, uint64_t *n, bool *zero)
{
	off_t begin = (off_t)(overlay->place.data_at + offset), end = begin + (off_t)*n;
	off_t next = lseek(overlay->place.fd, begin, SEEK_DATA);

	*zero = next != begin && (next >= 0 || errno == ENXIO);
	if (!*zero)
		next = lseek(overlay->place.fd, begin, SEEK_HOLE);
	if (next > begin && next < end)
		*n = (uint64_t)(next - begin);
}

static int overlay_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
			  struct error *err)
{
	struct overlay *overlay = overlay_of(drive);
	uint64_t run;
	bool here;
	int sys;

	run = bytes_of_run(overlay, offset, drive->size_bytes - offset, &here);
	if (here) {
		*n = run;
		status_here(overlay, offset, n, zero);
		return 0;
	}
	sys = overlay->below.status(overlay->below.context, offset, n, zero);
	*n = least(*n, run);
	return sys == 0 ? 0 : fail_system(err, sys, "%s: at byte %" PRIu64, drive->path, offset);
}

/* ---- writing ---- */

/* A part of a block, with the rest of it from below; nobody else writes. */
static int write_part(struct overlay *overlay, uint64_t offset, const void *from, size_t n)
{
	uint64_t block = offset / BLOCK_SIZE, begin = block * BLOCK_SIZE;
	size_t whole = (size_t)least(BLOCK_SIZE, overlay->drive.size_bytes - begin);
	uint8_t bytes[BLOCK_SIZE];
	uint64_t n_new = 0;
	int sys;

	pthread_rwlock_wrlock(&overlay->whole);
	sys = read_any(overlay, begin, bytes, whole, false);
	if (sys == 0)
		sys = overlay_map_prepare(&overlay->map, block, block + 1, &n_new);
	if (sys == 0)
		sys = take_blocks(overlay, n_new);
	if (sys == 0) {
		memcpy(bytes + (offset - begin), from, n);
		sys = io_pwrite(overlay->place.fd, bytes, whole, overlay->place.data_at + begin, 0);
	}
	if (sys == 0)
		overlay_map_set(&overlay->map, block, block + 1);
	pthread_rwlock_unlock(&overlay->whole);
	return sys;
}

/* How much of the range, from its beginning, is whole blocks; the last one of the drive may be
 * short. 0: it begins or ends within one. */
static uint64_t whole_part(const struct overlay *overlay, uint64_t offset, uint64_t n)
{
	if (offset % BLOCK_SIZE != 0)
		return 0;
	return offset + n == overlay->drive.size_bytes ? n : n - n % BLOCK_SIZE;
}

/* NULL: zeros, which may be a hole. */
static int put(struct overlay *overlay, uint64_t offset, const void *from, uint64_t n)
{
	uint64_t at = overlay->place.data_at + offset;

	if (from != NULL)
		return io_pwrite(overlay->place.fd, from, (size_t)n, at, 0);
	return disk_zero(&overlay->disk, at, n, DISK_MAY_PUNCH);
}

static int write_whole(struct overlay *overlay, uint64_t offset, const void *from, uint64_t n)
{
	uint64_t block = offset / BLOCK_SIZE, end = (offset + n + BLOCK_SIZE - 1) / BLOCK_SIZE;
	uint64_t n_new = 0;
	int sys;

	pthread_rwlock_rdlock(&overlay->whole);
	sys = overlay_map_prepare(&overlay->map, block, end, &n_new);
	if (sys == 0 && from != NULL)
		sys = take_blocks(overlay, n_new);
	if (sys == 0)
		sys = put(overlay, offset, from, n);
	if (sys == 0)
		overlay_map_set(&overlay->map, block, end);
	pthread_rwlock_unlock(&overlay->whole);
	return sys;
}

static int write_all(struct overlay *overlay, uint64_t offset, const void *from, uint64_t n)
{
	static const uint8_t zeros[BLOCK_SIZE];
	const uint8_t *next = from;

	while (n > 0) {
		uint64_t part = whole_part(overlay, offset, n);
		int sys;

		if (part > 0) {
			sys = write_whole(overlay, offset, next, part);
		} else {
			part = least(n, BLOCK_SIZE - offset % BLOCK_SIZE);
			sys = write_part(overlay, offset, next != NULL ? next : zeros,
					 (size_t)part);
		}
		if (sys != 0)
			return sys;
		offset += part;
		next = next == NULL ? NULL : next + part;
		n -= part;
	}
	return 0;
}

/* ---- durable ---- */

/* Once it failed it fails for good, for all drives of the file, as data may be lost. */
static int overlay_flush(struct drive *drive)
{
	struct overlay *overlay = overlay_of(drive);
	struct overlay_shared *shared = overlay->place.shared;
	int sys;

	if (!overlay->place.kept)
		return 0;
	pthread_mutex_lock(&shared->flushing);
	sys = shared->flush_failed;
	if (sys == 0)
		sys = shared->flush_failed = overlay_map_flush(&overlay->map);
	pthread_mutex_unlock(&shared->flushing);
	return sys;
}

static int overlay_write(struct drive *drive, uint64_t offset, const void *from, uint32_t n,
			 unsigned flags)
{
	struct overlay *overlay = overlay_of(drive);
	bool quick = n <= NOW_MAX && whole_part(overlay, offset, n) == n && !(flags & DRIVE_FUA);
	int sys;

	if ((flags & DRIVE_NOW) && !quick)
		return EAGAIN;
	sys = write_all(overlay, offset, from, n);
	return sys == 0 && (flags & DRIVE_FUA) ? overlay_flush(drive) : sys;
}

static int overlay_zero(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags)
{
	int sys;

	if (flags & DRIVE_NOW)
		return EAGAIN;
	sys = write_all(overlay_of(drive), offset, NULL, n);
	return sys == 0 && (flags & DRIVE_FUA) ? overlay_flush(drive) : sys;
}

/* Whole blocks only. */
static int overlay_trim(struct drive *drive, uint64_t offset, uint64_t n)
{
	uint64_t begin = (offset + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE, end = offset + n;

	if (end != drive->size_bytes)
		end -= end % BLOCK_SIZE;
	return begin >= end ? 0 : write_whole(overlay_of(drive), begin, NULL, end - begin);
}

/* ---- opening ---- */

static bool overlay_changed(struct drive *drive)
{
	(void)drive;
	return false;
}

static void overlay_close(struct drive *drive)
{
	struct overlay *overlay = overlay_of(drive);

	pthread_rwlock_destroy(&overlay->whole);
	overlay_map_close(&overlay->map);
	free(overlay);
}

static const struct drive_ops overlay_ops = {
	.read = overlay_read,
	.read_now = overlay_read_now,
	.status = overlay_status,
	.changed = overlay_changed,
	.write = overlay_write,
	.zero = overlay_zero,
	.trim = overlay_trim,
	.flush = overlay_flush,
	.close = overlay_close,
};

static int set_up(struct overlay *overlay, const char *name, struct error *err)
{
	const struct overlay_place *place = &overlay->place;
	int sys = overlay_map_open(&overlay->map, overlay->below.size_bytes, place->fd,
				   place->bits_at, place->kept);

	if (sys != 0)
		return fail_system(err, sys, "%s: reading the overlay", name);
	return disk_init(&overlay->disk, place->fd, name, err);
}

int drive_overlay_open(struct drive **out, const char *name, const struct drive_content *below,
		       const struct overlay_place *place, struct error *err)
{
	struct overlay *overlay = calloc(1, sizeof(*overlay));
	char *own_name = strdup(name);
	int code;

	if (overlay == NULL || own_name == NULL) {
		free(overlay);
		free(own_name);
		return fail_memory(err);
	}
	overlay->below = *below;
	overlay->place = *place;
	overlay->drive.ops = &overlay_ops;
	overlay->drive.size_bytes = below->size_bytes;
	overlay->drive.writable = true;
	pthread_rwlock_init(&overlay->whole, NULL);
	drive_set_up(&overlay->drive, own_name);
	code = set_up(overlay, name, err);
	if (code == 0)
		*out = &overlay->drive;
	else
		drive_close(&overlay->drive);
	return code;
}
