/*
 * Opening and closing the file of a map.
 */
#include "cow/map_parts.h"

#include "base/boot.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

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
	return trust == MAP_CLEAN || trust == MAP_KILLED || trust == MAP_RECOVERED;
}

/* The log as it was left, and what the drive says of it. */
static void look_at_log(struct map_store *store, const struct map_header *header, int drive_fd,
			struct map_times *times)
{
	const struct map_memory *memory = &store->memory;
	uint8_t *log = memory->bytes + memory->log_at;
	uint64_t n = memory->size_bytes - memory->log_at;
	bool possible;

	if (!header->logs || io_pread(store->fd, log, n, memory->log_at, NULL) != 0)
		return;
	times->log_ns = map_log_newest(log, n, header->id);
	times->lost = drive_fd < 0 || map_log_was_lost(drive_fd, header->id, &possible);
}

/* Reads the file: header, trust, and marks if they count. */
static int read_file(struct map_store *store, const struct stat *found, int drive_fd,
		     struct error *err)
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
	if (code == 0)
		look_at_log(store, &header, drive_fd, &times);
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
	if (header.state == MAP_STATE_OPEN && header.logs)
		store->synced_ns = header.drive.mtime_ns;
	if (!map_read(store->fd, &store->memory, &header, store->trust == MAP_RECOVERED,
		      &store->sum))
		store->trust = MAP_DAMAGED;
	else
		store->lost_id = 0;
	return 0;
}

/* An older version ends before the tables, or before the log. The header, with the version, is
 * written after this. */
static int add_rest(const struct map_store *store, struct error *err)
{
	const struct map_memory *memory = &store->memory;
	uint64_t begin = store->header.version == 1 ? memory->tables_at : memory->log_at;
	off_t at = (off_t)begin, n = (off_t)memory->size_bytes - at;

	if (ftruncate(store->fd, at + n) != 0)
		return fail_system(err, errno, "map %s", store->path);
	/* The log of a drive without clusters has no bytes. */
	if (n > 0 && fallocate(store->fd, 0, at, n) != 0 && errno != EOPNOTSUPP)
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
	map_store_put_header(store, MAP_STATE_OPEN);
	if (ftruncate(store->fd, 0) != 0)
		return fail_system(err, errno, "map %s", path);
	int sys = map_store_write_page(store, 0);
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
	map_log_free(store->log);
	if (store->fd >= 0)
		close(store->fd);
	pthread_mutex_destroy(&store->lock);
	free(store->path);
	free(store->drive_path);
	free(store);
}

/* Writes the whole file again from memory, whatever became of earlier writes. */
static int rewrite(struct map_store *store)
{
	const struct map_memory *memory = &store->memory;
	int sys = ftruncate(store->fd, (off_t)memory->size_bytes) == 0 ? 0 : errno;

	map_store_put_sums(store, 0);
	for (uint64_t i = 0; sys == 0 && i <= memory->n_group_pages; i++)
		sys = map_store_write_page(store, i * MAP_PAGE);
	for (uint64_t group = 0; sys == 0 && group < memory->n_groups; group++)
		if (mark_at(store, MAP_PAGE + 2 * group) != 0)
			sys = map_store_write_page(store,
						   (1 + memory->n_group_pages + group) * MAP_PAGE);
	for (uint64_t at = memory->tables_at; sys == 0 && at < memory->size_bytes; at += MAP_PAGE)
		sys = map_store_write_page(store, at);
	if (sys == 0 && fsync(store->fd) != 0)
		sys = errno;
	return sys;
}

/* NULL: of a drive whose map would not count anyway. The descriptor is taken over. */
static int make_log(struct map_store *store, int drive_fd, struct error *err)
{
	const struct map_memory *memory = &store->memory;
	struct map_log_place place = {
		store->fd,	drive_fd,	   &store->lock,    memory->bytes + memory->log_at,
		memory->log_at, memory->n_regions, store->header.id};
	bool possible = false;

	if (drive_fd >= 0 && store->header.drive.kind == MAP_DRIVE_FILE)
		map_log_was_lost(drive_fd, place.id, &possible);
	if (possible)
		return map_log_new(&store->log, &place, err);
	if (drive_fd >= 0)
		close(drive_fd);
	return 0;
}

/* Section 6, "Opening": marks, header, log, in this order. */
static int write_open(struct map_store *store)
{
	int sys = store->trust == MAP_RECOVERED ? rewrite(store) : 0;

	store->header.logs = store->log != NULL;
	map_store_put_header(store, MAP_STATE_OPEN);
	map_store_put_sums(store, 0);
	if (sys == 0)
		sys = map_store_write_page(store, 0);
	if (sys == 0 && fsync(store->fd) != 0)
		sys = errno;
	if (sys == 0 && store->log != NULL) {
		sys = map_log_begin(store->log);
		if (sys == 0 && fsync(store->fd) != 0)
			sys = errno;
		map_log_find(store->log);
	}
	return sys;
}

/* The drive is in use by now, so nothing else changes it between the look and the time stamp. Takes
 * the descriptor of the drive over. */
static int open_store(struct map_store *store, uint64_t drive_bytes, int drive_fd,
		      struct error *err)
{
	struct stat found;
	int code = open_file(store, &found, err);

	if (code == 0)
		code = drive_look(&store->header.drive, store->drive_path, drive_bytes, err);
	read_boot_id(store->header.boot_id);
	if (code == 0)
		code = read_file(store, &found, drive_fd, err);
	store->header.drive.mtime_ns = store->synced_ns;
	if (code == 0 && !is_trusted(store->trust))
		code = begin_anew(store, err);
	else if (code == 0 && store->header.version < 4)
		code = add_rest(store, err);
	if (code < 0) {
		if (drive_fd >= 0)
			close(drive_fd);
		return code;
	}
	TRY(make_log(store, drive_fd, err));
	int sys = write_open(store);
	return sys == 0 ? 0 : fail_system(err, sys, "map %s: writing", store->path);
}

/* -1: there is none, or it cannot be opened: then the map has no log. */
static int open_drive(const char *path)
{
	return path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
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
			   : open_store(store, drive_bytes, open_drive(drive_path), err);
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

	if (atomic_load(&store->failed) == 0 && !map_store_is_whole(store))
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
	store->header.logs = false;
	map_store_put_header(store, MAP_STATE_CLEAN);
	map_store_put_sums(store, 0);
	sys = map_store_write_page(store, 0);
	if (sys == 0 && fsync(store->fd) != 0)
		sys = errno;
	return sys == 0 ? 0 : fail_system(err, sys, "map %s: writing", store->path);
}

/* All of the new drive is on disk before the header may say that it is the map's. Of one that the
 * log cannot tell of it tells nothing from here on. */
static int take_drive(struct map_store *store, const struct drive_look *look, const char *path)
{
	int fd = look->kind == MAP_DRIVE_FILE ? open_drive(path) : -1;
	bool possible = false;

	if (fd >= 0)
		map_log_was_lost(fd, store->header.id, &possible);
	if (fd >= 0 && (!possible || fsync(fd) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int map_store_move(struct map_store *store, const char *drive_path, struct error *err)
{
	struct drive_look look;
	char *path;
	int fd = -1;

	TRY(drive_look(&look, drive_path, store->header.drive.size_bytes, err));
	path = drive_path == NULL ? NULL : strdup(drive_path);
	if (path == NULL && drive_path != NULL)
		return fail_memory(err);
	if (store->log != NULL)
		fd = take_drive(store, &look, path);
	map_store_lock(store);
	free(store->drive_path);
	store->drive_path = path;
	store->header.drive = look;
	store->header.drive.mtime_ns = 0;
	store->header.logs &= fd >= 0;
	if (store->log != NULL)
		map_log_move_locked(store->log, fd);
	map_store_advance_locked(store, store->header.current);
	map_store_unlock(store);
	map_store_sync(store);
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
