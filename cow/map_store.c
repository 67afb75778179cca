/*
 * The map is in this process's own memory, and the file is a copy: whatever happens to the file (a
 * full or broken disk, another program that truncates it) cannot affect a guest. From then on the
 * file does not count, and its users are told; the map in memory still counts.
 *
 * Why a killed process forgets no write. A mark is written to the file before the guest write it
 * stands for begins, and the kernel keeps what write() has accepted.
 *
 * Why that is not enough. The kernel may lose pages: write-back fails, the pages are dropped, and
 * later reads return older data. It reports this to the process at its next sync, but not to the
 * process that follows a kill. So the page of the header has the sum of all marks and the time of
 * the last one. Marks only rise: if another page is older than that of the header, the sum is too
 * small; if the header's own page is older, the drive was written after the time it states.
 *
 * When the machine goes down, pages of any age are on the disk. What marks may be missing then the
 * log tells (map_log.c).
 *
 * Only whole pages are written, in the order header, group, clusters, header. A kill in between
 * leaves a file with the old or the new sum: until the second header, the header has both.
 */
#include "cow/map_parts.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/io.h"

#include <errno.h>
#include <unistd.h>

#define TOUCH_NS 50000000u /* how often the time of the last mark is written */
#define LOOK_NS	 5000000u  /* how often it is looked whether the file is whole */

/* ---- writing ---- */

/* A truncated file is recognised as damaged. If truncating fails too, the sums show it. */
static void fail_store(struct map_store *store, int failed)
{
	atomic_store(&store->failed, failed);
	if (failed != FAILED_BY_CUT && ftruncate(store->fd, 0) != 0)
		return;
}

int map_store_write_page(const struct map_store *store, uint64_t offset)
{
	return io_pwrite(store->fd, store->memory.bytes + offset, MAP_PAGE, offset, 0);
}

void map_store_page_locked(struct map_store *store, uint64_t offset)
{
	int sys = atomic_load(&store->failed) != 0 ? 0 : map_store_write_page(store, offset);

	if (sys != 0)
		fail_store(store, sys);
}

bool map_store_is_whole(const struct map_store *store)
{
	struct stat found;

	return fstat(store->fd, &found) == 0 && (found.st_nlink > 0 || !store->has_name) &&
	       (uint64_t)found.st_size == store->memory.size_bytes;
}

void map_store_put_sums(struct map_store *store, uint64_t rise)
{
	uint8_t *page = store->memory.bytes;

	uint64_t now = clock_file_ns();

	atomic_store_explicit(&store->touched_ns, now, memory_order_relaxed);
	put_le(page + MAP_LAST_AT, 8, now);
	put_le(page + MAP_SUM_AT, 8, store->sum);
	store->sum += rise;
	put_le(page + MAP_SUM_AT + 8, 8, store->sum);
}

static uint64_t touched(const struct map_store *store)
{
	return atomic_load_explicit(&store->touched_ns, memory_order_relaxed);
}

/* Asking for the times of a file makes the kernel give the next write a time of its own, which
 * costs more than the write. */
static void look_locked(struct map_store *store)
{
	uint64_t touched_ns = touched(store);

	if (touched_ns - store->looked_ns < LOOK_NS || atomic_load(&store->failed) != 0)
		return;
	store->looked_ns = touched_ns;
	if (!map_store_is_whole(store))
		fail_store(store, FAILED_BY_CUT);
}

void map_store_promise_locked(struct map_store *store, uint64_t rise)
{
	map_store_put_sums(store, rise);
	look_locked(store);
	map_store_page_locked(store, 0);
}

void map_store_touch_locked(struct map_store *store)
{
	uint64_t now = clock_file_ns();

	if (store->log != NULL)
		map_log_touch_locked(store->log, now);
	/* The second case: the clock was set back. */
	if (now - touched(store) >= TOUCH_NS)
		map_store_promise_locked(store, 0);
}

/* As often as the time is written the log is looked at, too, whose age counts in seconds. */
bool map_store_is_touched(const struct map_store *store)
{
	return clock_file_ns() - touched(store) < TOUCH_NS;
}

/* Whoever sees a mark that is raised after the fence sees this, too. */
void map_store_begin_marks_locked(struct map_store *store)
{
	atomic_fetch_add_explicit(&store->n_changes, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

void map_store_end_marks_locked(struct map_store *store)
{
	atomic_fetch_add_explicit(&store->n_changes, 1, memory_order_release);
}

uint64_t map_store_changes(const struct map_store *store)
{
	return atomic_load_explicit(&store->n_changes, memory_order_acquire);
}

void map_store_put_header(struct map_store *store, uint32_t state)
{
	store->header.state = state;
	store->header.sequence++;
	map_header_put(store->memory.bytes, &store->header);
}

void map_store_began_locked(struct map_store *store, uint64_t began_ns)
{
	store->header.began_ns = began_ns;
	map_store_advance_locked(store, store->header.current);
}

void map_store_advance_locked(struct map_store *store, uint16_t current)
{
	store->header.current = current;
	map_store_put_header(store, MAP_STATE_OPEN);
	map_store_promise_locked(store, 0);
}

/* Until the last page of groups is written the sums do not match. Old clusters left in the file
 * belong to groups without marks. */
void map_store_restart_locked(struct map_store *store, uint64_t id)
{
	bool logs = store->log != NULL && atomic_load(&store->failed) == 0;
	int sys;

	store->sum = 0;
	store->header.id = id;
	store->header.began_ns = store->drive_path == NULL ? 0 : clock_real_ns();
	map_store_advance_locked(store, 1);
	/* No number becomes smaller while a header with the old id may be the one on disk. */
	if (logs) {
		sys = fdatasync(store->fd) == 0 ? map_log_rename_locked(store->log, id) : errno;
		if (sys != 0)
			fail_store(store, sys);
	}
	for (uint64_t i = 0; i < store->memory.n_group_pages; i++)
		map_store_page_locked(store, (1 + i) * MAP_PAGE);
}

/* ---- the log ---- */

bool map_store_heat_locked(struct map_store *store, uint64_t cluster, uint64_t end, bool now)
{
	uint64_t first = cluster / MAP_REGION_CLUSTERS;
	uint64_t last = (end - 1) / MAP_REGION_CLUSTERS;

	if (store->log == NULL)
		return true;
	while (!map_log_is_hot_locked(store->log, first, last + 1)) {
		int sys = 0;

		if (now)
			return false;
		if (atomic_load(&store->failed) == 0 && !map_store_is_whole(store))
			fail_store(store, FAILED_BY_CUT);
		if (atomic_load(&store->failed) != 0)
			map_log_lose_locked(store->log);
		else
			sys = map_log_heat_locked(store->log, first, last + 1);
		if (sys != 0 && atomic_load(&store->failed) == 0)
			fail_store(store, sys);
	}
	map_log_rise_locked(store->log, first, last + 1);
	return true;
}

void map_store_want_locked(struct map_store *store, uint64_t cluster, uint64_t end)
{
	if (store->log != NULL)
		map_log_want_locked(store->log, cluster / MAP_REGION_CLUSTERS,
				    (end - 1) / MAP_REGION_CLUSTERS + 1);
}

static void renew(struct map_store *store)
{
	int sys = atomic_load(&store->failed) == 0 ? map_log_renew_locked(store->log) : 0;

	if (sys != 0 && atomic_load(&store->failed) == 0)
		fail_store(store, sys);
}

/* Of a file that has failed the log has no use; the last mark in a hot region may come later. */
static void clear(struct map_store *store)
{
	int sys;

	map_log_note_locked(store->log);
	pthread_mutex_unlock(&store->lock);
	map_store_sync(store);
	pthread_mutex_lock(&store->lock);
	sys = atomic_load(&store->failed) == 0 ? map_log_clear_locked(store->log) : 0;
	if (sys != 0 && atomic_load(&store->failed) == 0)
		fail_store(store, sys);
}

void map_store_clean(struct map_store *store)
{
	enum map_work work;

	pthread_mutex_lock(&store->lock);
	while (atomic_load(&store->failed) == 0 &&
	       (work = map_log_await_locked(store->log)) != MAP_WORK_NONE)
		(work == MAP_WORK_RENEW ? renew : clear)(store);
	pthread_mutex_unlock(&store->lock);
}

void map_store_stop(struct map_store *store)
{
	pthread_mutex_lock(&store->lock);
	map_log_stop_locked(store->log);
	pthread_mutex_unlock(&store->lock);
}

int map_store_settle(struct map_store *store)
{
	struct stat found;
	int drive;

	if (!store->header.logs || atomic_load(&store->failed) != 0)
		return 0;
	drive = map_log_drive(store->log);
	if (fstat(drive, &found) != 0 || fsync(drive) != 0)
		return errno;
	pthread_mutex_lock(&store->lock);
	store->header.drive.mtime_ns = stat_mtime_ns(&found);
	map_store_put_header(store, MAP_STATE_OPEN);
	map_store_promise_locked(store, 0);
	pthread_mutex_unlock(&store->lock);
	map_store_sync(store);
	return 0;
}

/* ---- checkpoints ---- */

static void touch(struct map_store *store)
{
	map_store_lock(store);
	map_store_promise_locked(store, 0);
	map_store_unlock(store);
}

/* The file changes, so the time of the last mark has to be no older than that. */
void map_store_table(struct map_store *store, uint64_t offset, uint64_t n)
{
	int sys;

	touch(store);
	if (atomic_load(&store->failed) != 0)
		return;
	sys = io_pwrite(store->fd, store->memory.bytes + offset, n, offset, 0);
	touch(store);
	if (sys == 0 && fdatasync(store->fd) != 0)
		sys = errno;
	if (sys == 0)
		return;
	map_store_lock(store);
	if (atomic_load(&store->failed) == 0)
		fail_store(store, sys);
	map_store_unlock(store);
}

/* ---- state ---- */

enum map_trust map_store_trust(const struct map_store *store)
{
	return atomic_load(&store->failed) != 0 ? MAP_FILE_FAILED : store->trust;
}

uint64_t map_store_lost_id(const struct map_store *store)
{
	return store->lost_id;
}

const struct map_header *map_store_header(const struct map_store *store)
{
	return &store->header;
}

void map_store_lock(struct map_store *store)
{
	pthread_mutex_lock(&store->lock);
}

void map_store_unlock(struct map_store *store)
{
	pthread_mutex_unlock(&store->lock);
}

void map_store_sync(struct map_store *store)
{
	int sys = fdatasync(store->fd) == 0 ? 0 : errno;

	pthread_mutex_lock(&store->lock);
	if (atomic_load(&store->failed) == 0 && !map_store_is_whole(store))
		fail_store(store, FAILED_BY_CUT);
	else if (atomic_load(&store->failed) == 0 && sys != 0)
		fail_store(store, sys);
	pthread_mutex_unlock(&store->lock);
}

void map_store_drop(struct map_store *store)
{
	pthread_mutex_lock(&store->lock);
	if (atomic_load(&store->failed) != FAILED_BY_DRIVE)
		fail_store(store, FAILED_BY_DRIVE);
	pthread_mutex_unlock(&store->lock);
}

int map_store_failure(const struct map_store *store, struct error *err)
{
	int failed = atomic_load(&store->failed);

	if (failed == FAILED_BY_CUT)
		return fail(err, ERR_SYSTEM,
			    "map %s: was truncated, replaced or deleted by another program",
			    store->path);
	if (failed == FAILED_BY_DRIVE)
		return fail(err, ERR_SYSTEM,
			    "map %s: its drive could not be flushed, and may have gone back to "
			    "older data",
			    store->path);
	return failed == 0 ? 0 : fail_system(err, failed, "map %s: writing", store->path);
}
