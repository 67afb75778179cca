/*
 * Who excludes whom. A write of whole blocks, or into blocks that are there already, holds "whole"
 * shared. One that has to fill up a block with what lies below holds it alone, so that it does not
 * put old bytes over new ones. "bits" guards the words of the map and what is known of their
 * pages; it is held for moments, but for the first bit of a page, which takes its room on the disk.
 */
#include "drive/overlay.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/io.h"
#include "drive/backing.h"
#include "drive/kind.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE	  4096u
#define PAGE_BITS (PAGE * 8u)
#define WORDS	  (PAGE / 8u)
#define NOW_MAX	  (256u << 10)

struct overlay {
	struct drive drive;
	struct drive_content below;
	struct overlay_place place;
	struct disk disk;
	uint64_t n_blocks, n_pages;
	uint64_t *map;	/* owned: a bit for each block; whole pages */
	bool *changed;	/* owned: of each page, since it was written */
	bool *has_room; /* owned: of each page, in the file */
	pthread_mutex_t bits;
	pthread_rwlock_t whole;
};

static struct overlay *overlay_of(struct drive *drive)
{
	return (struct overlay *)drive;
}

static uint64_t n_pages_of(uint64_t size_bytes)
{
	uint64_t n_blocks = (size_bytes + BLOCK_SIZE - 1) / BLOCK_SIZE;

	return (n_blocks + PAGE_BITS - 1) / PAGE_BITS;
}

uint64_t overlay_bits_size(uint64_t size_bytes)
{
	return n_pages_of(size_bytes) * PAGE;
}

/* ---- the map ---- */

/* How many blocks from this one on, at most n_max, are here, or are not. */
static uint64_t run_of(struct overlay *overlay, uint64_t block, uint64_t n_max, bool *here)
{
	uint64_t at = block, end = block + n_max;

	pthread_mutex_lock(&overlay->bits);
	*here = overlay->map[at / 64] >> at % 64 & 1;
	while (at < end) {
		uint64_t word = overlay->map[at / 64];

		if (at % 64 == 0 && word == (*here ? UINT64_MAX : 0))
			at += 64;
		else if ((word >> at % 64 & 1) == *here)
			at++;
		else
			break;
	}
	pthread_mutex_unlock(&overlay->bits);
	return least(at, end) - block;
}

/* The same in bytes, within the drive. */
static uint64_t bytes_of_run(struct overlay *overlay, uint64_t offset, uint64_t n, bool *here)
{
	uint64_t block = offset / BLOCK_SIZE, last = (offset + n - 1) / BLOCK_SIZE;
	uint64_t run = run_of(overlay, block, last - block + 1, here);

	return least((block + run) * BLOCK_SIZE - offset, n);
}

/* The bits of a page get their room while a write can still be refused. */
static int take_room_locked(struct overlay *overlay, uint64_t page)
{
	int sys = 0;

	if (overlay->place.kept && !overlay->has_room[page])
		sys = io_pwrite(overlay->place.fd, overlay->map + page * WORDS, PAGE,
				overlay->place.bits_at + page * PAGE, 0);
	overlay->has_room[page] |= sys == 0;
	return sys;
}

/* Before the data of these blocks is written: there is room for their bits, and they may be had.
 * *n_new: how many that are not here yet will be. */
static int prepare(struct overlay *overlay, uint64_t block, uint64_t end, uint64_t *n_new)
{
	int sys = 0;

	pthread_mutex_lock(&overlay->bits);
	for (uint64_t page = block / PAGE_BITS; page * PAGE_BITS < end && sys == 0; page++)
		sys = take_room_locked(overlay, page);
	pthread_mutex_unlock(&overlay->bits);
	for (uint64_t at = block, run; at < end && sys == 0; at += run) {
		bool here;

		run = run_of(overlay, at, end - at, &here);
		*n_new += here ? 0 : run;
	}
	return sys;
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

/* Once their data is in the file. */
static void set_bits(struct overlay *overlay, uint64_t block, uint64_t end)
{
	pthread_mutex_lock(&overlay->bits);
	if (bits_set(overlay->map, block, end) > 0)
		for (uint64_t page = block / PAGE_BITS; page * PAGE_BITS < end; page++)
			overlay->changed[page] = true;
	pthread_mutex_unlock(&overlay->bits);
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
		sys = prepare(overlay, block, block + 1, &n_new);
	if (sys == 0)
		sys = take_blocks(overlay, n_new);
	if (sys == 0) {
		memcpy(bytes + (offset - begin), from, n);
		sys = io_pwrite(overlay->place.fd, bytes, whole, overlay->place.data_at + begin, 0);
	}
	if (sys == 0)
		set_bits(overlay, block, block + 1);
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
	sys = prepare(overlay, block, end, &n_new);
	if (sys == 0 && from != NULL)
		sys = take_blocks(overlay, n_new);
	if (sys == 0)
		sys = put(overlay, offset, from, n);
	if (sys == 0)
		set_bits(overlay, block, end);
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

/* The changed pages as they are now, with their numbers. */
struct kept_pages {
	uint64_t n;
	uint64_t *numbers; /* owned */
	uint8_t *bytes;	   /* owned */
};

static int take_pages(struct overlay *overlay, struct kept_pages *out)
{
	uint64_t n = 0;

	pthread_mutex_lock(&overlay->bits);
	for (uint64_t i = 0; i < overlay->n_pages; i++)
		n += overlay->changed[i];
	out->numbers = malloc((n + 1) * sizeof(*out->numbers));
	out->bytes = malloc((n + 1) * PAGE);
	for (uint64_t i = 0; out->numbers != NULL && out->bytes != NULL && out->n < n; i++) {
		if (!overlay->changed[i])
			continue;
		memcpy(out->bytes + out->n * PAGE, overlay->map + i * WORDS, PAGE);
		out->numbers[out->n++] = i;
		overlay->changed[i] = false;
	}
	pthread_mutex_unlock(&overlay->bits);
	return out->numbers != NULL && out->bytes != NULL ? 0 : ENOMEM;
}

/* The data first. */
static int write_pages(const struct overlay *overlay, const struct kept_pages *pages)
{
	int fd = overlay->place.fd, sys = fdatasync(fd) == 0 ? 0 : errno;

	for (uint64_t i = 0; i < pages->n && sys == 0; i++)
		sys = io_pwrite(fd, pages->bytes + i * PAGE, PAGE,
				overlay->place.bits_at + pages->numbers[i] * PAGE, 0);
	if (sys == 0 && pages->n > 0 && fdatasync(fd) != 0)
		sys = errno;
	return sys;
}

/* Once it failed it fails for good, for all drives of the file, as data may be lost. */
static int overlay_flush(struct drive *drive)
{
	struct overlay *overlay = overlay_of(drive);
	struct overlay_shared *shared = overlay->place.shared;
	struct kept_pages pages = {0};
	int sys;

	if (!overlay->place.kept)
		return 0;
	pthread_mutex_lock(&shared->flushing);
	sys = shared->flush_failed;
	if (sys == 0) {
		sys = take_pages(overlay, &pages);
		if (sys == 0)
			sys = shared->flush_failed = write_pages(overlay, &pages);
	}
	free(pages.numbers);
	free(pages.bytes);
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

	pthread_mutex_destroy(&overlay->bits);
	pthread_rwlock_destroy(&overlay->whole);
	free(overlay->map);
	free(overlay->changed);
	free(overlay->has_room);
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

/* Only where the file has data. A bit past the end of the drive counts for nothing. */
static int load_map(struct overlay *overlay)
{
	off_t begin = (off_t)overlay->place.bits_at;
	off_t end = begin + (off_t)(overlay->n_pages * PAGE), at = begin;
	int sys = 0;

	while (sys == 0 && at < end && (at = lseek(overlay->place.fd, at, SEEK_DATA)) >= 0 &&
	       at < end) {
		uint64_t page = (uint64_t)(at - begin) / PAGE;

		sys = io_pread(overlay->place.fd, overlay->map + page * WORDS, PAGE,
			       (uint64_t)begin + page * PAGE, NULL);
		overlay->has_room[page] = true;
		at = begin + (off_t)((page + 1) * PAGE);
	}
	for (uint64_t i = overlay->n_blocks; i < overlay->n_pages * PAGE_BITS; i++)
		overlay->map[i / 64] &= ~(UINT64_C(1) << i % 64);
	return sys;
}

static int set_up(struct overlay *overlay, const char *name, struct error *err)
{
	int sys = 0;

	TRY(disk_init(&overlay->disk, overlay->place.fd, name, err));
	overlay->n_blocks = (overlay->below.size_bytes + BLOCK_SIZE - 1) / BLOCK_SIZE;
	overlay->n_pages = n_pages_of(overlay->below.size_bytes);
	overlay->map = calloc(overlay->n_pages + 1, PAGE);
	overlay->changed = calloc(overlay->n_pages + 1, sizeof(bool));
	overlay->has_room = calloc(overlay->n_pages + 1, sizeof(bool));
	if (overlay->map == NULL || overlay->changed == NULL || overlay->has_room == NULL)
		return fail_memory(err);
	if (overlay->place.kept)
		sys = load_map(overlay);
	return sys == 0 ? 0 : fail_system(err, sys, "%s: reading the overlay", name);
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
	pthread_mutex_init(&overlay->bits, NULL);
	pthread_rwlock_init(&overlay->whole, NULL);
	drive_set_up(&overlay->drive, own_name);
	code = set_up(overlay, name, err);
	if (code == 0)
		*out = &overlay->drive;
	else
		drive_close(&overlay->drive);
	return code;
}
