/*
 * A map is one stretch of memory, shared with a file or not:
 *
 *   header    a page, see map_file.h; of a map in memory only the time of the last mark is used
 *   groups    for each 2048 clusters the highest generation among them, or a higher one: 2 bytes
 *   clusters  the generation of the last write, 0: none: 2 bytes each, whole groups
 *
 * Groups are there so that a drive of many TiB of which little was written is looked through in no
 * time, and without touching, and so allocating, the memory of what was never written.
 *
 * Why no write is forgotten when the process is killed. The memory is the file's page cache: what
 * was stored there before the signal is there after it. A mark is stored before the write it
 * stands for is begun, the group before its cluster, and the time of the mark with them; so at any
 * moment the map names at least what was written. The header has two copies of which the one with
 * the higher sequence number counts, and only the other one is ever written to.
 *
 * Why a map is not trusted after the machine died. Pages of the file and of the drive reach the
 * disk in any order. That the map is open is on disk before the first mark, so nobody can take it
 * for one that was closed.
 *
 * Threads: marks are atomic stores of the same value by all, for the generation changes only while
 * no write is in flight. A reader may see a mark late, never half.
 */
#include "cow/generation.h"
#include "base/place.h"

#include "cow/map_file.h"
#include "format/bytes.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GROUP_CLUSTERS 2048u
#define PAGE	       4096u
#define SIZE_MAX_BYTES (UINT64_C(1) << 62) /* of a drive: no sum below can overflow */
#define LOOK_MAX       (UINT64_C(1) << 20) /* clusters looked at by generation_changed */

struct generation {
	uint64_t n_clusters, n_groups;
	uint8_t *memory; /* size_bytes of it, mapped */
	size_t size_bytes;
	_Atomic uint64_t *last; /* little-endian, as the marks */
	_Atomic uint16_t *groups;
	_Atomic uint16_t *clusters;
	_Atomic uint16_t current;
	enum map_trust trust;
	_Atomic uint64_t id;
	struct map_header header; /* of a map in a file: as it was put last */
	int fd;			  /* -1: in memory */
	char *drive_path;	  /* owned */
};

static uint64_t load(const _Atomic uint16_t *mark)
{
	return le16toh(atomic_load_explicit(mark, memory_order_relaxed));
}

/* Most writes go where the last one went: a cache line that is not changed stays shared. */
static void raise_to(_Atomic uint16_t *mark, uint16_t value)
{
	if (load(mark) != value)
		atomic_store_explicit(mark, htole16(value), memory_order_relaxed);
}

static uint64_t group_pages(uint64_t n_groups)
{
	return (n_groups * 2 + PAGE - 1) / PAGE;
}

/* ---- making ---- */

static int lay_out(struct generation **out, uint64_t size_bytes, struct error *err)
{
	struct generation *map = calloc(1, sizeof *map);

	if (map == NULL)
		return fail(err, ERR_SYSTEM, "no memory");
	if (size_bytes > SIZE_MAX_BYTES) {
		free(map);
		return fail(err, ERR_USAGE, "a drive of %llu bytes is too large for a map",
			    (unsigned long long)size_bytes);
	}
	map->n_clusters = clusters_of(size_bytes);
	map->n_groups = (map->n_clusters + GROUP_CLUSTERS - 1) / GROUP_CLUSTERS;
	map->size_bytes = MAP_HEADER_SIZE + (group_pages(map->n_groups) + map->n_groups) * PAGE;
	map->fd = -1;
	map->current = 1;
	map->trust = MAP_NEW;
	*out = map;
	return 0;
}

static int map_memory(struct generation *map, int flags, int fd, struct error *err)
{
	void *memory = mmap(NULL, map->size_bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		return fail_system(err, errno, "memory for a map of %zu bytes", map->size_bytes);
	/* Huge pages would take memory for what was never marked. */
	madvise(memory, map->size_bytes, MADV_NOHUGEPAGE);
	map->memory = memory;
	map->last = (_Atomic uint64_t *)(map->memory + MAP_LAST_AT);
	map->groups = (_Atomic uint16_t *)(map->memory + MAP_HEADER_SIZE);
	map->clusters = map->groups + group_pages(map->n_groups) * PAGE / 2;
	return 0;
}

static void release(struct generation *map)
{
	if (map->memory != NULL)
		munmap(map->memory, map->size_bytes);
	if (map->fd >= 0)
		close(map->fd);
	free(map->drive_path);
	free(map);
}

static int new_id(struct generation *map, struct error *err)
{
	uint64_t id;

	if (getrandom(&id, sizeof id, 0) != sizeof id)
		return fail_system(err, errno, "random numbers");
	map->id = id;
	return 0;
}

int generation_new(struct generation **out, uint64_t size_bytes, struct error *err)
{
	struct generation *map;

	TRY(lay_out(&map, size_bytes, err));
	int code = new_id(map, err);
	if (code == 0)
		code = map_memory(map, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, err);
	if (code != 0) {
		release(map);
		return code;
	}
	*out = map;
	return 0;
}

/* ---- the file ---- */

static int open_file(struct generation *map, const char *path, struct stat *found,
		     struct error *err)
{
	int code = access(path, F_OK) != 0 ? place_check(path, err) : 0;

	if (code != 0)
		return code;
	map->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (map->fd < 0 || fstat(map->fd, found) != 0)
		return fail_system(err, errno, "map %s", path);
	if (!S_ISREG(found->st_mode))
		return fail(err, ERR_USAGE, "map %s: is no file", path);
	if (flock(map->fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK
			       ? fail(err, ERR_LOCKED, "map %s: is in use by another serve", path)
			       : fail_system(err, errno, "map %s: locking", path);
	return 0;
}

/* What is in the file: header and trust. */
static int read_file(struct generation *map, const char *path, const struct stat *found,
		     const uint8_t boot_id[MAP_ID_SIZE], struct error *err)
{
	uint8_t page[MAP_HEADER_SIZE] = {0};
	struct drive_look *now = &map->header.drive;
	struct map_header header;

	if (found->st_size == 0)
		return 0;
	if (pread(map->fd, page, sizeof page, 0) < 0)
		return fail_system(err, errno, "map %s", path);
	int code = map_header_get(&header, page, path, err);
	if (code != 0 && code != ERR_DAMAGED)
		return code;
	map->trust = code != 0 ? MAP_DAMAGED
			       : map_judge(&header, now, boot_id, get_le(page + MAP_LAST_AT, 8));
	bool counts = map->trust == MAP_CLEAN || map->trust == MAP_KILLED;
	if (counts && (uint64_t)found->st_size != map->size_bytes) {
		map->trust = MAP_DAMAGED;
		counts = false;
	}
	if (!counts)
		return 0;
	map->id = header.id;
	map->header.sequence = header.sequence;
	map->current = header.current;
	return 0;
}

static void next_header(struct generation *map, uint32_t state)
{
	map->header.state = state;
	map->header.sequence++;
	map->header.id = map->id;
	map->header.current = map->current;
}

/* Space is taken now: a full disk must not be found out by a guest's write. A file system that
 * cannot do that gives a sparse file. The header comes first, so that a file that was not finished
 * is known for what it is. */
static int begin_anew(struct generation *map, const char *path, struct error *err)
{
	uint8_t page[MAP_HEADER_SIZE] = {0};

	TRY(new_id(map, err));
	next_header(map, MAP_STATE_OPEN);
	map_header_put(page, &map->header);
	if (ftruncate(map->fd, 0) != 0)
		return fail_system(err, errno, "map %s", path);
	if (pwrite(map->fd, page, sizeof page, 0) != sizeof page ||
	    ftruncate(map->fd, (off_t)map->size_bytes) != 0)
		return fail_system(err, errno, "map %s", path);
	if (fallocate(map->fd, 0, 0, (off_t)map->size_bytes) != 0 && errno != EOPNOTSUPP)
		return fail_system(err, errno, "map %s: %zu bytes", path, map->size_bytes);
	return 0;
}

static void put_header(struct generation *map, uint32_t state)
{
	next_header(map, state);
	map_header_put(map->memory, &map->header);
}

static int put_header_safely(struct generation *map, uint32_t state)
{
	put_header(map, state);
	return msync(map->memory, MAP_HEADER_SIZE, MS_SYNC);
}

static int open_map(struct generation *map, const char *path, struct error *err)
{
	struct stat found;

	TRY(open_file(map, path, &found, err));
	TRY(drive_look(&map->header.drive, map->drive_path, map->header.drive.size_bytes, err));
	read_boot_id(map->header.boot_id);
	TRY(read_file(map, path, &found, map->header.boot_id, err));
	bool counts = map->trust == MAP_CLEAN || map->trust == MAP_KILLED;
	if (!counts)
		TRY(begin_anew(map, path, err));
	TRY(map_memory(map, MAP_SHARED, map->fd, err));
	atomic_store(map->last, htole64(map->header.drive.mtime_ns));
	if (put_header_safely(map, MAP_STATE_OPEN) != 0)
		return fail_system(err, errno, "map %s: writing", path);
	return 0;
}

int generation_open(struct generation **out, const char *path, const char *drive_path,
		    uint64_t size_bytes, struct error *err)
{
	struct generation *map;

	TRY(lay_out(&map, size_bytes, err));
	map->drive_path = strdup(drive_path);
	map->header.drive.size_bytes = size_bytes;
	int code = map->drive_path == NULL ? fail(err, ERR_SYSTEM, "no memory")
					   : open_map(map, path, err);
	if (code != 0) {
		release(map);
		return code;
	}
	*out = map;
	return 0;
}

/* Times of files go in steps: what somebody writes later must get a later one. */
static void let_time_pass(const struct drive_look *look)
{
	struct timespec now, step = {.tv_nsec = 1000000};

	for (unsigned i = 0; i < 50; i++) {
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
		if ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec > look->mtime_ns)
			return;
		nanosleep(&step, NULL);
	}
}

/* Stays open, and so will not be taken for clean, if any of it fails. */
static void close_file(struct generation *map)
{
	struct drive_look look;
	struct error ignored;

	if (drive_look(&look, map->drive_path, map->header.drive.size_bytes, &ignored) != 0 ||
	    !drive_is_same(&look, &map->header.drive, true))
		return;
	let_time_pass(&look);
	map->header.drive = look;
	if (msync(map->memory, map->size_bytes, MS_SYNC) != 0 || fsync(map->fd) != 0)
		return;
	put_header_safely(map, MAP_STATE_CLEAN);
}

void generation_close(struct generation *map)
{
	if (map == NULL)
		return;
	if (map->fd >= 0)
		close_file(map);
	release(map);
}

/* ---- what is known ---- */

enum map_trust generation_trust(const struct generation *map)
{
	return map->trust;
}

const char *map_trust_text(enum map_trust trust)
{
	static const char *const texts[] = {
		[MAP_NEW] = "new",
		[MAP_CLEAN] = "clean",
		[MAP_KILLED] = "killed",
		[MAP_MACHINE_DIED] = "machine-died",
		[MAP_DRIVE_CHANGED] = "drive-changed",
		[MAP_OTHER_DRIVE] = "other-drive",
		[MAP_DAMAGED] = "damaged",
		[MAP_UNSURE] = "unsure",
	};

	return texts[trust];
}

uint64_t generation_n_clusters(const struct generation *map)
{
	return map->n_clusters;
}

uint64_t generation_id(const struct generation *map)
{
	return map->id;
}

uint16_t generation_current(const struct generation *map)
{
	return atomic_load_explicit(&map->current, memory_order_relaxed);
}

/* ---- marks ---- */

static void mark_time(struct generation *map)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	uint64_t ns = htole64((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	if (atomic_load_explicit(map->last, memory_order_relaxed) != ns)
		atomic_store_explicit(map->last, ns, memory_order_relaxed);
}

void generation_mark(struct generation *map, uint64_t cluster, uint64_t n_clusters)
{
	uint16_t current = generation_current(map);
	uint64_t end = cluster + n_clusters;

	for (uint64_t group = cluster / GROUP_CLUSTERS; group * GROUP_CLUSTERS < end; group++)
		raise_to(&map->groups[group], current);
	/* A kill between the two must find the group marked, if the cluster is. */
	atomic_signal_fence(memory_order_seq_cst);
	for (; cluster < end; cluster++)
		raise_to(&map->clusters[cluster], current);
	if (map->fd >= 0)
		mark_time(map);
}

static void clear(struct generation *map)
{
	for (uint64_t group = 0; group < map->n_groups; group++) {
		_Atomic uint16_t *marks = map->clusters + group * GROUP_CLUSTERS;
		if (load(&map->groups[group]) == 0)
			continue;
		for (uint32_t i = 0; i < GROUP_CLUSTERS; i++)
			raise_to(&marks[i], 0);
		atomic_signal_fence(memory_order_seq_cst);
		raise_to(&map->groups[group], 0);
	}
}

/* The header first: marks that are left from before name too much, not too little. */
static uint16_t restart(struct generation *map)
{
	struct error ignored;

	if (new_id(map, &ignored) != 0)
		map->id++;
	atomic_store(&map->current, 1);
	if (map->fd >= 0)
		put_header(map, MAP_STATE_OPEN);
	clear(map);
	return 0;
}

uint16_t generation_advance(struct generation *map)
{
	uint16_t ended = generation_current(map);

	if (ended == GENERATION_MAX)
		return restart(map);
	atomic_store(&map->current, (uint16_t)(ended + 1));
	if (map->fd >= 0)
		put_header(map, MAP_STATE_OPEN);
	return ended;
}

/* ---- questions ---- */

bool generation_changed(const struct generation *map, uint16_t g, uint64_t cluster,
			uint64_t *n_clusters)
{
	uint64_t at = cluster, left = map->n_clusters - cluster;
	uint64_t end = cluster + (left < LOOK_MAX ? left : LOOK_MAX);
	bool changed = load(&map->groups[at / GROUP_CLUSTERS]) > g && load(&map->clusters[at]) > g;

	while (at < end) {
		uint64_t next = (at / GROUP_CLUSTERS + 1) * GROUP_CLUSTERS;
		if (next > end)
			next = end;
		if (load(&map->groups[at / GROUP_CLUSTERS]) <= g) {
			if (changed)
				break;
			at = next;
			continue;
		}
		while (at < next && (load(&map->clusters[at]) > g) == changed)
			at++;
		if (at < next)
			break;
	}
	/* A mark of this very moment may have come after the first look. */
	*n_clusters = at > cluster ? at - cluster : 1;
	return changed;
}

uint64_t generation_count(const struct generation *map, uint16_t g)
{
	uint64_t count = 0;

	for (uint64_t group = 0; group < map->n_groups; group++) {
		uint64_t end = (group + 1) * GROUP_CLUSTERS;
		if (load(&map->groups[group]) <= g)
			continue;
		/* What a file holds behind the last cluster is nothing of the drive's. */
		for (uint64_t i = group * GROUP_CLUSTERS; i < end && i < map->n_clusters; i++)
			count += load(&map->clusters[i]) > g;
	}
	return count;
}
