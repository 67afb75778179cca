/*
 * Which regions are hot: section 6 of spec/map.md.
 *
 * Two sets are kept. `bytes` is what is written: the regions that are hot, and those that somebody
 * waits for. `hot` are those that are on disk. Whoever needs a region sets its bit in `bytes`; one
 * of those that wait then writes all pages that have such bits, for all of them. Meanwhile the lock
 * is not held; `busy` keeps others from writing and from clearing.
 */
#include "cow/map_parts.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

#define SECTOR	     512u
#define CHECKED	     504u
#define BITS_AT	     16u
#define PAGE_SECTORS (MAP_PAGE / SECTOR)
#define AHEAD	     8u	    /* regions, when the one before is hot: for writes in sequence */
#define CLEAN_MS     30000u /* how often regions are cleared */
#define RENEW_NS     (MAP_LOG_AGE_NS / 2)

static const char lost_name[] = "user.vmabak.map-lost";

struct map_log {
	int fd, drive_fd;	/* borrowed; owned */
	pthread_mutex_t *lock;	/* borrowed: the store's, which guards all of this */
	pthread_cond_t changed; /* busy or hot; work: for the cleaner */
	pthread_cond_t work;
	uint8_t *bytes; /* borrowed, as in the file, where they are at that offset */
	uint64_t at, n_regions, n_pages, id;
	uint64_t *hot, *risen, *noted; /* owned: on disk; marks rose since noted; when noted */
	uint64_t n_hot;
	bool *dirty; /* owned: pages that somebody waits for */
	bool busy, renew, closing;
	bool lost; /* the drive says that it does not count, as far as that could be done */
	uint64_t written_ns;
	int64_t clean_ms; /* when it is cleared again */
};

/* ---- sectors ---- */

uint64_t map_log_bytes(uint64_t n_regions)
{
	uint64_t n_sectors = (n_regions + MAP_LOG_REGIONS - 1) / MAP_LOG_REGIONS;

	return (n_sectors + PAGE_SECTORS - 1) / PAGE_SECTORS * MAP_PAGE;
}

static uint8_t *byte_of(uint8_t *bytes, uint64_t region)
{
	return bytes + region / MAP_LOG_REGIONS * SECTOR + BITS_AT + region % MAP_LOG_REGIONS / 8;
}

static bool is_sector(const uint8_t *sector, uint64_t id)
{
	return get_le(sector, 8) == id &&
	       get_le(sector + CHECKED, 8) == XXH3_64bits(sector, CHECKED);
}

uint64_t map_log_newest(const uint8_t *bytes, uint64_t n_bytes, uint64_t id)
{
	uint64_t newest = 0;

	for (uint64_t at = 0; at < n_bytes; at += SECTOR)
		if (is_sector(bytes + at, id) && get_le(bytes + at + 8, 8) > newest)
			newest = get_le(bytes + at + 8, 8);
	return newest;
}

bool map_log_says_hot(const uint8_t *bytes, uint64_t id, uint64_t region)
{
	const uint8_t *sector = bytes + region / MAP_LOG_REGIONS * SECTOR;
	uint64_t bit = region % MAP_LOG_REGIONS;

	return !is_sector(sector, id) || (sector[BITS_AT + bit / 8] >> bit % 8 & 1) != 0;
}

/* The page as it is to be written. */
static void seal_page(struct map_log *log, uint64_t page, uint8_t out[MAP_PAGE])
{
	uint8_t *bytes = log->bytes + page * MAP_PAGE;

	log->written_ns = clock_file_ns();
	for (unsigned i = 0; i < PAGE_SECTORS; i++) {
		uint8_t *sector = bytes + i * SECTOR;
		put_le(sector, 8, log->id);
		put_le(sector + 8, 8, log->written_ns);
		put_le(sector + CHECKED, 8, XXH3_64bits(sector, CHECKED));
	}
	memcpy(out, bytes, MAP_PAGE);
}

static int write_page(const struct map_log *log, uint64_t page, const uint8_t *from, int flags)
{
	return io_pwrite(log->fd, from, MAP_PAGE, log->at + page * MAP_PAGE, flags);
}

static int write_all(struct map_log *log)
{
	uint8_t copy[MAP_PAGE];
	int sys = 0;

	for (uint64_t page = 0; sys == 0 && page < log->n_pages; page++) {
		seal_page(log, page, copy);
		sys = write_page(log, page, copy, 0);
	}
	return sys;
}

int map_log_begin(struct map_log *log)
{
	memset(log->bytes, 0, log->n_pages * MAP_PAGE);
	return write_all(log);
}

int map_log_rename_locked(struct map_log *log, uint64_t id)
{
	log->id = id;
	return write_all(log);
}

/* ---- creating ---- */

bool map_log_was_lost(int drive_fd, uint64_t id, bool *possible)
{
	char text[17] = "", expected[17];
	ssize_t n = fgetxattr(drive_fd, lost_name, text, sizeof(text) - 1);

	*possible = n >= 0 || errno == ENODATA;
	snprintf(expected, sizeof(expected), "%016llx", (unsigned long long)id);
	return n > 0 && strcmp(text, expected) == 0;
}

int map_log_new(struct map_log **out, const struct map_log_place *place, struct error *err)
{
	struct map_log *log = calloc(1, sizeof(*log));
	uint64_t n_words = bits_words(place->n_regions);

	if (log == NULL)
		return fail_memory(err);
	log->fd = place->fd;
	log->drive_fd = -1;
	log->lock = place->lock;
	log->bytes = place->bytes;
	log->at = place->at;
	log->n_regions = place->n_regions;
	log->n_pages = map_log_bytes(place->n_regions) / MAP_PAGE;
	log->id = place->id;
	log->hot = calloc(3 * n_words, sizeof(*log->hot));
	log->dirty = calloc(log->n_pages + 1, sizeof(*log->dirty));
	clock_cond_init(&log->changed);
	clock_cond_init(&log->work);
	if (log->hot == NULL || log->dirty == NULL) {
		map_log_free(log);
		return fail_memory(err);
	}
	log->risen = log->hot + n_words;
	log->noted = log->risen + n_words;
	log->drive_fd = place->drive_fd;
	*out = log;
	return 0;
}

void map_log_free(struct map_log *log)
{
	if (log == NULL)
		return;
	if (log->drive_fd >= 0)
		close(log->drive_fd);
	pthread_cond_destroy(&log->changed);
	pthread_cond_destroy(&log->work);
	free(log->hot);
	free(log->dirty);
	free(log);
}

/* ---- regions become hot ---- */

bool map_log_is_hot_locked(const struct map_log *log, uint64_t first, uint64_t end)
{
	return log->lost || bits_find(log->hot, first, end, false) == end;
}

void map_log_want_locked(struct map_log *log, uint64_t first, uint64_t end)
{
	if (first > 0 && bits_test(log->hot, first - 1))
		end = least(log->n_regions, end > first + AHEAD ? end : first + AHEAD);
	for (uint64_t region = first; region < end; region++) {
		if (bits_test(log->hot, region))
			continue;
		*byte_of(log->bytes, region) |= (uint8_t)(1u << region % MAP_LOG_REGIONS % 8);
		log->dirty[region / MAP_LOG_REGIONS / PAGE_SECTORS] = true;
	}
}

static void note_hot(struct map_log *log, uint64_t page, const uint8_t *copy)
{
	uint64_t first = page * PAGE_SECTORS * MAP_LOG_REGIONS;
	uint64_t end = least(first + PAGE_SECTORS * MAP_LOG_REGIONS, log->n_regions);

	if (log->n_hot == 0) {
		log->clean_ms = clock_ms() + CLEAN_MS;
		pthread_cond_signal(&log->work);
	}
	for (uint64_t i = first; i < end; i++) {
		const uint8_t *sector = copy + (i - first) / MAP_LOG_REGIONS * SECTOR;
		uint64_t bit = i % MAP_LOG_REGIONS;
		if (sector[BITS_AT + bit / 8] == 0)
			i |= 7;
		else if ((sector[BITS_AT + bit / 8] >> bit % 8 & 1) != 0)
			log->n_hot += bits_set(log->hot, i, i + 1);
	}
}

/* Without the lock while it waits for the disk. */
static int write_through_locked(struct map_log *log, uint64_t page)
{
	uint8_t copy[MAP_PAGE];
	int sys;

	log->dirty[page] = false;
	seal_page(log, page, copy);
	pthread_mutex_unlock(log->lock);
	sys = write_page(log, page, copy, RWF_DSYNC);
	pthread_mutex_lock(log->lock);
	if (sys == 0)
		note_hot(log, page, copy);
	return sys;
}

static void begin_locked(struct map_log *log)
{
	while (log->busy)
		pthread_cond_wait(&log->changed, log->lock);
	log->busy = true;
}

static void end_locked(struct map_log *log)
{
	log->busy = false;
	pthread_cond_broadcast(&log->changed);
}

int map_log_heat_locked(struct map_log *log, uint64_t first, uint64_t end)
{
	int sys = 0;

	map_log_want_locked(log, first, end);
	if (log->busy) {
		pthread_cond_wait(&log->changed, log->lock);
		return 0;
	}
	begin_locked(log);
	for (uint64_t page = 0; sys == 0 && page < log->n_pages; page++)
		if (log->dirty[page])
			sys = write_through_locked(log, page);
	end_locked(log);
	return sys;
}

void map_log_rise_locked(struct map_log *log, uint64_t first, uint64_t end)
{
	bits_set(log->risen, first, end);
}

void map_log_lose_locked(struct map_log *log)
{
	char text[17];

	begin_locked(log);
	if (!log->lost) {
		snprintf(text, sizeof(text), "%016llx", (unsigned long long)log->id);
		pthread_mutex_unlock(log->lock);
		if (fsetxattr(log->drive_fd, lost_name, text, 16, 0) == 0)
			(void)fsync(log->drive_fd);
		pthread_mutex_lock(log->lock);
		log->lost = true;
	}
	end_locked(log);
}

void map_log_move_locked(struct map_log *log, int drive_fd)
{
	begin_locked(log);
	close(log->drive_fd);
	log->drive_fd = drive_fd;
	log->lost |= drive_fd < 0;
	end_locked(log);
	pthread_cond_signal(&log->work);
}

void map_log_find(const struct map_log *log)
{
	fremovexattr(log->drive_fd, lost_name);
}

/* ---- and cold again ---- */

void map_log_note_locked(struct map_log *log)
{
	uint64_t n_words = bits_words(log->n_regions);

	memcpy(log->noted, log->hot, n_words * sizeof(*log->hot));
	memset(log->risen, 0, n_words * sizeof(*log->risen));
}

int map_log_clear_locked(struct map_log *log)
{
	uint64_t at = 0, n_words = bits_words(log->n_regions);
	uint8_t copy[MAP_PAGE];
	int sys = 0;

	begin_locked(log);
	for (uint64_t i = 0; i < n_words; i++)
		log->noted[i] &= ~log->risen[i];
	while ((at = bits_find(log->noted, at, log->n_regions, true)) < log->n_regions) {
		*byte_of(log->bytes, at) &= (uint8_t) ~(1u << at % MAP_LOG_REGIONS % 8);
		log->n_hot -= bits_test(log->hot, at);
		log->hot[at / 64] &= ~(UINT64_C(1) << at % 64);
		at++;
	}
	for (uint64_t page = 0; sys == 0 && page < log->n_pages; page++) {
		seal_page(log, page, copy);
		sys = write_page(log, page, copy, 0);
	}
	log->clean_ms = clock_ms() + CLEAN_MS;
	end_locked(log);
	return sys;
}

int map_log_renew_locked(struct map_log *log)
{
	int sys;

	begin_locked(log);
	log->renew = false;
	sys = write_through_locked(log, 0);
	end_locked(log);
	return sys;
}

void map_log_touch_locked(struct map_log *log, uint64_t now_ns)
{
	if (log->renew || now_ns - log->written_ns < RENEW_NS)
		return;
	log->renew = true;
	pthread_cond_signal(&log->work);
}

enum map_work map_log_await_locked(struct map_log *log)
{
	for (;;) {
		if (log->closing || log->lost)
			return MAP_WORK_NONE;
		if (log->renew)
			return MAP_WORK_RENEW;
		if (log->n_hot == 0)
			pthread_cond_wait(&log->work, log->lock);
		else if (clock_ms() >= log->clean_ms)
			return MAP_WORK_CLEAN;
		else
			clock_cond_wait(&log->work, log->lock, log->clean_ms);
	}
}

void map_log_stop_locked(struct map_log *log)
{
	log->closing = true;
	pthread_cond_signal(&log->work);
}

int map_log_drive(const struct map_log *log)
{
	return log->drive_fd;
}
