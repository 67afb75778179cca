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
 * Only whole pages are written, in the order header, group, clusters, header. A kill in between
 * leaves a file with the old or the new sum: until the second header, the header has both.
 */
#include "cow/map_parts.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/place.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOUCH_NS	50000000u /* how often the time of the last mark is written */
#define FAILED_BY_CUT	(-1)
#define FAILED_BY_DRIVE (-2)

struct map_store {
	struct map_memory memory;
	struct map_header header; /* as last written */
	enum map_trust trust;	  /* at the open */
	uint64_t lost_id;	  /* of the map that did not count then, or 0 */
	int fd;
	bool has_name;		 /* it has one, and must keep it */
	char *path, *drive_path; /* owned */
	atomic_int failed;	 /* errno or FAILED_BY_: the file does not count any more */
	pthread_mutex_t lock;	 /* guards what follows, the file, and stores to the memory */
	uint64_t sum;		 /* of all marks */
	uint64_t touched_ns;	 /* the time of the last mark, as last written */
};

/* ---- writing ---- */

/* A truncated file is recognised as damaged. If truncating fails too, the sums show it. */
static void fail_store(struct map_store *store, int failed)
{
	atomic_store(&store->failed, failed);
	if (failed != FAILED_BY_CUT && ftruncate(store->fd, 0) != 0)
		return;
}

static int write_page(const struct map_store *store, uint64_t offset)
{
	return io_pwrite(store->fd, store->memory.bytes + offset, MAP_PAGE, offset, 0);
}

void map_store_page_locked(struct map_store *store, uint64_t offset)
{
	int sys = atomic_load(&store->failed) != 0 ? 0 : write_page(store, offset);

	if (sys != 0)
		fail_store(store, sys);
}

static bool is_whole(const struct map_store *store)
{
	struct stat found;

	return fstat(store->fd, &found) == 0 && (found.st_nlink > 0 || !store->has_name) &&
	       (uint64_t)found.st_size == store->memory.size_bytes;
}

static void put_sums(struct map_store *store, uint64_t rise)
{
	uint8_t *page = store->memory.bytes;

	store->touched_ns = clock_file_ns();
	put_le(page + MAP_LAST_AT, 8, store->touched_ns);
	put_le(page + MAP_SUM_AT, 8, store->sum);
	store->sum += rise;
	put_le(page + MAP_SUM_AT + 8, 8, store->sum);
}

void map_store_promise_locked(struct map_store *store, uint64_t rise)
{
	put_sums(store, rise);
	if (atomic_load(&store->failed) == 0 && !is_whole(store))
		fail_store(store, FAILED_BY_CUT);
	map_store_page_locked(store, 0);
}

void map_store_touch_locked(struct map_store *store)
{
	uint64_t now = clock_file_ns();

	/* The second case: the clock was set back. */
	if (now - store->touched_ns >= TOUCH_NS)
		map_store_promise_locked(store, 0);
}

static void put_header(struct map_store *store, uint32_t state)
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
	put_header(store, MAP_STATE_OPEN);
	map_store_promise_locked(store, 0);
}

/* Until the last page of groups is written the sums do not match. Old clusters left in the file
 * belong to groups without marks. */
void map_store_restart_locked(struct map_store *store, uint64_t id)
{
	store->sum = 0;
	store->header.id = id;
	store->header.began_ns = store->drive_path == NULL ? 0 : clock_real_ns();
	map_store_advance_locked(store, 1);
	for (uint64_t i = 0; i < store->memory.n_group_pages; i++)
		map_store_page_locked(store, (1 + i) * MAP_PAGE);
}

/* ---- opening ---- */

static int open_file(struct map_store *store, struct stat *found, struct error *err)
{
	const char *path = store->path;

	if (access(path, F_OK) != 0)
		TRY(place_check(path, err));
	store->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (store->fd < 0 || fstat(store->fd, found) != 0)
		return fail_system(err, errno, "map %s", path);
	if (!S_ISREG(found->st_mode))
		return fail(err, ERR_USAGE, "map %s: is not a regular file", path);
	store->has_name = found->st_nlink > 0;
	if (flock(store->fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK
			       ? fail(err, ERR_LOCKED, "map %s: is in use by another run", path)
			       : fail_system(err, errno, "map %s: locking", path);
	return 0;
}

static uint64_t mark_at(const struct map_store *store, uint64_t offset)
{
	return get_le(store->memory.bytes + offset, 2);
}

static bool is_trusted(enum map_trust trust)
{
	return trust == MAP_CLEAN || trust == MAP_KILLED;
}

/* Reads the file: header, trust, and marks if they count. */
static int read_file(struct map_store *store, const struct stat *found, struct error *err)
{
	uint8_t page[MAP_HEADER_SIZE] = {0};
	struct map_times times = {.map_ns = stat_mtime_ns(found)};
	struct map_header header;

	if (found->st_size == 0)
		return 0;
	if (pread(store->fd, page, sizeof(page), 0) < 0)
		return fail_system(err, errno, "map %s", store->path);
	int code = map_header_get(&header, page, store->path, err);
	if (code != 0 && code != ERR_DAMAGED)
		return code;
	times.last_ns = get_le(page + MAP_LAST_AT, 8);
	store->trust =
		code != 0 ? MAP_DAMAGED
			  : map_judge(&header, &store->header.drive, store->header.boot_id, &times);
	store->lost_id = code != 0 ? 0 : header.id;
	if (!is_trusted(store->trust))
		return 0;
	store->header.id = header.id;
	store->header.version = header.version;
	store->header.sequence = header.sequence;
	store->header.current = header.current;
	store->header.began_ns = header.began_ns;
	if (!map_read(store->fd, &store->memory, &header, &store->sum))
		store->trust = MAP_DAMAGED;
	else
		store->lost_id = 0;
	return 0;
}

/* Of version 1 there are no tables. The header, with the version, is written after this. */
static int add_tables(const struct map_store *store, struct error *err)
{
	const struct map_memory *memory = &store->memory;
	off_t at = (off_t)memory->tables_at, n = (off_t)memory->size_bytes - at;

	if (ftruncate(store->fd, at + n) != 0)
		return fail_system(err, errno, "map %s", store->path);
	if (fallocate(store->fd, 0, at, n) != 0 && errno != EOPNOTSUPP)
		return fail_system(err, errno, "map %s", store->path);
	return 0;
}

/* Allocates the disk space now, where possible: later there may be none. The header comes first, so
 * that an unfinished file is recognised. */
static int begin_anew(struct map_store *store, struct error *err)
{
	const char *path = store->path;
	uint64_t size = store->memory.size_bytes;

	/* Marks that do not count may have been read. */
	if (madvise(store->memory.bytes, size, MADV_DONTNEED) != 0)
		return fail_system(err, errno, "map %s: memory", path);
	store->sum = 0;
	store->header.current = 1;
	store->header.began_ns = store->drive_path == NULL ? 0 : clock_real_ns();
	if (getrandom(&store->header.id, sizeof(store->header.id), 0) != sizeof(store->header.id))
		return fail_system(err, errno, "random numbers");
	put_header(store, MAP_STATE_OPEN);
	if (ftruncate(store->fd, 0) != 0)
		return fail_system(err, errno, "map %s", path);
	int sys = write_page(store, 0);
	if (sys != 0)
		return fail_system(err, sys, "map %s", path);
	if (ftruncate(store->fd, (off_t)size) != 0)
		return fail_system(err, errno, "map %s", path);
	if (fallocate(store->fd, 0, 0, (off_t)size) != 0 && errno != EOPNOTSUPP)
		return fail_system(err, errno, "map %s: %llu bytes", path,
				   (unsigned long long)size);
	return 0;
}

static void free_store(struct map_store *store)
{
	if (store->fd >= 0)
		close(store->fd);
	pthread_mutex_destroy(&store->lock);
	free(store->path);
	free(store->drive_path);
	free(store);
}

/* The drive is in use by now, so nothing else changes it between the look and the time stamp. */
static int open_store(struct map_store *store, uint64_t drive_bytes, struct error *err)
{
	struct stat found;

	TRY(open_file(store, &found, err));
	TRY(drive_look(&store->header.drive, store->drive_path, drive_bytes, err));
	read_boot_id(store->header.boot_id);
	TRY(read_file(store, &found, err));
	if (!is_trusted(store->trust))
		TRY(begin_anew(store, err));
	else if (store->header.version == 1)
		TRY(add_tables(store, err));
	put_header(store, MAP_STATE_OPEN);
	put_sums(store, 0);
	int sys = write_page(store, 0);
	if (sys == 0 && fsync(store->fd) != 0)
		sys = errno;
	return sys == 0 ? 0 : fail_system(err, sys, "map %s: writing", store->path);
}

int map_store_open(struct map_store **out, const char *path, const char *drive_path,
		   uint64_t drive_bytes, const struct map_memory *memory, struct error *err)
{
	struct map_store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return fail_system(err, ENOMEM, "map %s", path);
	store->fd = -1;
	store->memory = *memory;
	store->trust = MAP_NEW;
	pthread_mutex_init(&store->lock, NULL);
	store->path = strdup(path);
	store->drive_path = drive_path == NULL ? NULL : strdup(drive_path);
	int code = store->path == NULL || (store->drive_path == NULL && drive_path != NULL)
			   ? fail_system(err, ENOMEM, "map %s", path)
			   : open_store(store, drive_bytes, err);
	if (code != 0) {
		free_store(store);
		return code;
	}
	*out = store;
	return 0;
}

/* ---- closing ---- */

/* File times advance in steps: a later write by another program must get a later time. */
static void let_time_pass(const struct drive_look *look)
{
	for (unsigned i = 0; i < 50 && clock_file_ns() <= look->mtime_ns; i++)
		clock_sleep_ms(1);
}

/* Writes the whole file again from memory, whatever became of earlier writes. */
static int rewrite(struct map_store *store)
{
	const struct map_memory *memory = &store->memory;
	int sys = ftruncate(store->fd, (off_t)memory->size_bytes) == 0 ? 0 : errno;

	put_sums(store, 0);
	for (uint64_t i = 0; sys == 0 && i <= memory->n_group_pages; i++)
		sys = write_page(store, i * MAP_PAGE);
	for (uint64_t group = 0; sys == 0 && group < memory->n_groups; group++)
		if (mark_at(store, MAP_PAGE + 2 * group) != 0)
			sys = write_page(store, (1 + memory->n_group_pages + group) * MAP_PAGE);
	for (uint64_t at = memory->tables_at; sys == 0 && at < memory->size_bytes; at += MAP_PAGE)
		sys = write_page(store, at);
	if (sys == 0 && fsync(store->fd) != 0)
		sys = errno;
	return sys;
}

/* A file that was truncated can be made whole again; a file put in its place is left alone. */
static bool is_ours(const struct map_store *store)
{
	uint8_t page[MAP_HEADER_SIZE] = {0};
	struct map_header header;
	struct error ignored;
	struct stat found;

	return fstat(store->fd, &found) == 0 && (found.st_nlink > 0 || !store->has_name) &&
	       pread(store->fd, page, sizeof(page), 0) >= 0 &&
	       (found.st_size == 0 || map_header_get(&header, page, store->path, &ignored) == 0);
}

static int save(struct map_store *store, struct error *err)
{
	struct drive_look look;
	int sys = 0;

	if (atomic_load(&store->failed) == 0 && !is_whole(store))
		atomic_store(&store->failed, FAILED_BY_CUT);
	int failed = atomic_load(&store->failed);
	if (failed == FAILED_BY_DRIVE || (failed == FAILED_BY_CUT && !is_ours(store)))
		return map_store_failure(store, err);
	TRY(drive_look(&look, store->drive_path, store->header.drive.size_bytes, err));
	if (!drive_is_same(&look, &store->header.drive, true))
		return fail(err, ERR_SYSTEM, "map %s: its drive was replaced", store->path);
	let_time_pass(&look);
	store->header.drive = look;
	/* The sync that failed lost pages; there may be disk space for them by now. */
	if (atomic_load(&store->failed) != 0 || fsync(store->fd) != 0)
		sys = rewrite(store);
	if (sys != 0)
		return fail_system(err, sys, "map %s: writing", store->path);
	put_header(store, MAP_STATE_CLEAN);
	put_sums(store, 0);
	sys = write_page(store, 0);
	if (sys == 0 && fsync(store->fd) != 0)
		sys = errno;
	return sys == 0 ? 0 : fail_system(err, sys, "map %s: writing", store->path);
}

int map_store_move(struct map_store *store, const char *drive_path, struct error *err)
{
	struct drive_look look;
	char *path;

	TRY(drive_look(&look, drive_path, store->header.drive.size_bytes, err));
	path = drive_path == NULL ? NULL : strdup(drive_path);
	if (path == NULL && drive_path != NULL)
		return fail_memory(err);
	map_store_lock(store);
	free(store->drive_path);
	store->drive_path = path;
	store->header.drive = look;
	map_store_advance_locked(store, store->header.current);
	map_store_unlock(store);
	return 0;
}

int map_store_close(struct map_store *store, struct error *err)
{
	int code = save(store, err);

	if (code != 0) {
		/* Best effort: the error has been reported. */
		bool forgotten =
			is_ours(store) && ftruncate(store->fd, 0) == 0 && fsync(store->fd) == 0;
		(void)forgotten;
	}
	free_store(store);
	return code;
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
	if (atomic_load(&store->failed) == 0 && !is_whole(store))
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
