/*
 * Who excludes whom. The drive is divided into stripes of a MiB, which share locks. A write of
 * whole blocks holds the locks of its stripes shared. One that has to fill up a block with what
 * lies below holds its stripe alone, as does what fills the drive, so that neither puts old bytes
 * over new ones. Who takes several takes them in order.
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

#define NOW_MAX	  (256u << 10)
#define STRIPE	  (1u << 20)
#define N_STRIPES 64u

struct overlay {
	struct drive drive;
	struct drive_content below;
	struct overlay_place place;
	struct disk disk;
	struct overlay_map map;
	pthread_rwlock_t stripes[N_STRIPES];
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

/* ---- stripes ---- */

/* Which locks a range, not empty, takes, as bits. */
static uint64_t stripes_of(uint64_t offset, uint64_t n)
{
	uint64_t first = offset / STRIPE, last = (offset + n - 1) / STRIPE, set = 0;

	if (last - first >= N_STRIPES)
		return UINT64_MAX;
	for (uint64_t i = first; i <= last; i++)
		set |= UINT64_C(1) << i % N_STRIPES;
	return set;
}

static void lock_stripes(struct overlay *overlay, uint64_t set, bool alone)
{
	for (unsigned i = 0; i < N_STRIPES; i++) {
		if (!(set >> i & 1))
			continue;
		if (alone)
			pthread_rwlock_wrlock(&overlay->stripes[i]);
		else
			pthread_rwlock_rdlock(&overlay->stripes[i]);
	}
}

static void unlock_stripes(struct overlay *overlay, uint64_t set)
{
	for (unsigned i = 0; i < N_STRIPES; i++) {
		if (set >> i & 1)
			pthread_rwlock_unlock(&overlay->stripes[i]);
	}
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

	lock_stripes(overlay, stripes_of(begin, whole), true);
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
		sys = overlay_map_set(&overlay->map, block, block + 1);
	unlock_stripes(overlay, stripes_of(begin, whole));
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

	lock_stripes(overlay, stripes_of(offset, n), false);
	sys = overlay_map_prepare(&overlay->map, block, end, &n_new);
	if (sys == 0 && from != NULL)
		sys = take_blocks(overlay, n_new);
	if (sys == 0)
		sys = put(overlay, offset, from, n);
	if (sys == 0)
		sys = overlay_map_set(&overlay->map, block, end);
	unlock_stripes(overlay, stripes_of(offset, n));
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
static int flush_locked(struct overlay *overlay)
{
	struct overlay_shared *shared = overlay->place.shared;

	if (shared->flush_failed != 0)
		return shared->flush_failed;
	if (!overlay->place.whole)
		shared->flush_failed = overlay_map_flush(&overlay->map);
	else if (fdatasync(overlay->place.fd) != 0)
		shared->flush_failed = errno;
	return shared->flush_failed;
}

static int overlay_flush(struct drive *drive)
{
	struct overlay *overlay = overlay_of(drive);
	int sys;

	if (!overlay->place.kept)
		return 0;
	pthread_mutex_lock(&overlay->place.shared->flushing);
	sys = flush_locked(overlay);
	pthread_mutex_unlock(&overlay->place.shared->flushing);
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

/* ---- one that takes all ---- */

bool drive_overlay_missing(struct drive *drive, uint64_t *offset, uint64_t *n)
{
	struct overlay *overlay = overlay_of(drive);
	uint64_t at = *offset;

	while (at < drive->size_bytes) {
		bool here;
		uint64_t run = bytes_of_run(overlay, at, drive->size_bytes - at, &here);

		if (!here) {
			*offset = at;
			*n = run;
			return true;
		}
		at += run;
	}
	return false;
}

uint64_t drive_overlay_missing_bytes(struct drive *drive)
{
	uint64_t bytes = 0;

	for (uint64_t at = 0, n; drive_overlay_missing(drive, &at, &n); at += n)
		bytes += n;
	return bytes;
}

static int fill_locked(struct overlay *overlay, uint64_t offset, const uint8_t *from, uint64_t n)
{
	uint64_t done = 0;
	int sys = 0;

	while (done < n && sys == 0) {
		bool here;
		uint64_t run = bytes_of_run(overlay, offset + done, n - done, &here);

		if (!here)
			sys = put(overlay, offset + done, from == NULL ? NULL : from + done, run);
		done += run;
	}
	return sys;
}

int drive_overlay_fill(struct drive *drive, uint64_t offset, const void *from, uint64_t n)
{
	struct overlay *overlay = overlay_of(drive);
	uint64_t block = offset / BLOCK_SIZE, end = (offset + n + BLOCK_SIZE - 1) / BLOCK_SIZE;
	uint64_t stripes = stripes_of(offset, n), ignored = 0;
	int sys;

	lock_stripes(overlay, stripes, true);
	sys = overlay_map_prepare(&overlay->map, block, end, &ignored);
	if (sys == 0)
		sys = fill_locked(overlay, offset, from, n);
	if (sys == 0)
		sys = overlay_map_set(&overlay->map, block, end);
	unlock_stripes(overlay, stripes);
	return sys;
}

int drive_overlay_complete(struct drive *drive)
{
	struct overlay *overlay = overlay_of(drive);
	int sys;

	pthread_mutex_lock(&overlay->place.shared->flushing);
	sys = flush_locked(overlay);
	if (sys == 0)
		overlay->place.whole = true;
	pthread_mutex_unlock(&overlay->place.shared->flushing);
	return sys;
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

	for (unsigned i = 0; i < N_STRIPES; i++)
		pthread_rwlock_destroy(&overlay->stripes[i]);
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
	int sys = overlay_map_open(&overlay->map, overlay->below.size_bytes, place);

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
	for (unsigned i = 0; i < N_STRIPES; i++)
		pthread_rwlock_init(&overlay->stripes[i], NULL);
	drive_set_up(&overlay->drive, own_name);
	code = set_up(overlay, name, err);
	if (code == 0)
		*out = &overlay->drive;
	else
		drive_close(&overlay->drive);
	return code;
}
