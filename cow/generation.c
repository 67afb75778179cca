/*
 * A map is one piece of memory; if it has a file, map_store.c keeps a copy there:
 *
 *   header    a page, see map_file.h; unused in a map without a file
 *   groups    for each 2048 clusters a generation no lower than any of theirs: 2 bytes
 *   clusters  the generation of the last write, 0 if none: 2 bytes each, whole groups
 *   tables    two, of checkpoints
 *
 * Groups make it cheap to search a drive of many TiB that was hardly written to, and keep the
 * search from touching, and so allocating, memory of clusters that were never written.
 *
 * Marking is in generation_mark.c. Threads: marks are atomic stores, and all threads store the same
 * value, because the generation changes only while no write is in flight; with a file, threads also
 * hold the store's lock. A reader may see a mark late, but never half of one.
 */
#include "cow/generation_state.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

static uint64_t group_pages(uint64_t n_groups)
{
	return (n_groups * 2 + PAGE - 1) / PAGE;
}

/* ---- creating ---- */

static int lay_out(struct generation **out, uint64_t size_bytes, struct error *err)
{
	struct generation *map = calloc(1, sizeof(*map));

	if (map == NULL)
		return fail_system(err, ENOMEM, "a map");
	if (size_bytes > SIZE_MAX_BYTES) {
		free(map);
		return fail(err, ERR_USAGE, "a drive of %llu bytes is too large for a map",
			    (unsigned long long)size_bytes);
	}
	map->drive_bytes = size_bytes;
	map->n_clusters = clusters_of(size_bytes);
	map->n_groups = (map->n_clusters + GROUP_CLUSTERS - 1) / GROUP_CLUSTERS;
	map->tables_at = MAP_HEADER_SIZE + (group_pages(map->n_groups) + map->n_groups) * PAGE;
	map->n_regions = (map->n_clusters + MAP_REGION_CLUSTERS - 1) / MAP_REGION_CLUSTERS;
	map->log_at = map->tables_at + MAP_TABLES * MAP_TABLE_SIZE;
	map->size_bytes = map->log_at + map_log_bytes(map->n_regions);
	map->current = 1;
	map->counts = calloc(GENERATION_MAX + 1, sizeof(*map->counts));
	if (map->counts == NULL) {
		free(map);
		return fail_memory(err);
	}
	*out = map;
	return 0;
}

static int map_memory(struct generation *map, struct error *err)
{
	void *memory = mmap(NULL, map->size_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return fail_system(err, errno, "memory for a map of %zu bytes", map->size_bytes);
	/* Huge pages would allocate memory for clusters that were never marked. */
	madvise(memory, map->size_bytes, MADV_NOHUGEPAGE);
	map->memory = memory;
	map->groups = (_Atomic uint16_t *)(map->memory + MAP_HEADER_SIZE);
	map->clusters = map->groups + group_pages(map->n_groups) * PAGE / 2;
	return 0;
}

static void release(struct generation *map)
{
	checkpoints_free(map->checkpoints);
	if (map->memory != NULL)
		munmap(map->memory, map->size_bytes);
	free((void *)map->counts);
	free(map);
}

static int new_id(struct generation *map, struct error *err)
{
	uint64_t id;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return fail_system(err, errno, "random numbers");
	map->id = id;
	return 0;
}

int generation_new(struct generation **out, uint64_t size_bytes, struct error *err)
{
	struct generation *map;

	TRY(lay_out(&map, size_bytes, err));
	map->began_ns = clock_real_ns();
	int code = new_id(map, err);
	if (code == 0)
		code = map_memory(map, err);
	if (code == 0)
		code = checkpoints_new(&map->checkpoints, map->memory + map->tables_at, map->id, 1,
				       err);
	if (code != 0) {
		release(map);
		return code;
	}
	*out = map;
	return 0;
}

/* Of what was read from the file. Marks past the last cluster are not the drive's. */
static void count_all(struct generation *map)
{
	for (uint64_t group = 0; group < map->n_groups; group++) {
		uint64_t end = least((group + 1) * GROUP_CLUSTERS, map->n_clusters);
		for (uint64_t i = group * GROUP_CLUSTERS;
		     generation_load(&map->groups[group]) > 0 && i < end; i++)
			map->counts[generation_load(&map->clusters[i])]++;
	}
}

static struct map_memory memory_of(const struct generation *map)
{
	return (struct map_memory){
		map->memory,	map->size_bytes, map->n_groups, group_pages(map->n_groups),
		map->tables_at, map->log_at,	 map->n_regions};
}

static void *clean(void *context)
{
	struct map_store *store = context;

	map_store_clean(store);
	return NULL;
}

/* Without it regions stay hot, and nothing is missed. */
static void start_cleaning(struct generation *map)
{
	if (map->store->log != NULL)
		map->cleaning = pthread_create(&map->cleaner, NULL, clean, map->store) == 0;
}

static void stop_cleaning(struct generation *map)
{
	if (!map->cleaning)
		return;
	map_store_stop(map->store);
	pthread_join(map->cleaner, NULL);
}

static int open_store(struct generation *map, const char *path, const char *drive_path,
		      uint64_t size_bytes, struct error *err)
{
	const struct map_memory memory = memory_of(map);

	TRY(map_store_open(&map->store, path, drive_path, size_bytes, &memory, err));
	map->id = map_store_header(map->store)->id;
	map->current = map_store_header(map->store)->current;
	map->began_ns = map_store_header(map->store)->began_ns;
	count_all(map);
	TRY(checkpoints_new(&map->checkpoints, map->memory + map->tables_at, map->id, map->current,
			    err));
	checkpoints_keep(map->checkpoints, map->store, map->tables_at);
	return 0;
}

int generation_open(struct generation **out, const char *path, const char *drive_path,
		    uint64_t size_bytes, struct error *err)
{
	struct generation *map;

	TRY(lay_out(&map, size_bytes, err));
	int code = map_memory(map, err);
	if (code == 0)
		code = open_store(map, path, drive_path, size_bytes, err);
	if (code != 0) {
		release(map);
		return code;
	}
	start_cleaning(map);
	*out = map;
	return 0;
}

static int look(struct generation *map, struct map_look *file, struct error *err)
{
	TRY(map_memory(map, err));
	file->memory = memory_of(map);
	TRY(map_look_read(file, err));
	map->id = file->header.id;
	map->current = file->header.current;
	map->began_ns = file->header.began_ns;
	map->of_others = file->header.drive.kind == MAP_DRIVE_ELSEWHERE;
	map->left_open = file->header.state != MAP_STATE_CLEAN;
	count_all(map);
	return checkpoints_new(&map->checkpoints, map->memory + map->tables_at, map->id,
			       map->current, err);
}

int generation_look(struct generation **out, const char *path, uint64_t *size_bytes,
		    struct error *err)
{
	struct map_look file;
	struct generation *map = NULL;
	int code;

	TRY(map_look_open(&file, path, false, err));
	code = lay_out(&map, file.header.drive.size_bytes, err);
	if (code == 0)
		code = look(map, &file, err);
	map_look_close(&file);
	if (code < 0) {
		if (map != NULL)
			release(map);
		return code;
	}
	*size_bytes = file.header.drive.size_bytes;
	*out = map;
	return 0;
}

int generation_save_checkpoints(const struct generation *map, const char *path, struct error *err)
{
	struct map_look file;
	int code;

	TRY(map_look_open(&file, path, true, err));
	file.memory = memory_of(map);
	code = file.header.id == map->id ? map_look_write_tables(&file, err)
					 : fail(err, ERR_LOCKED, "map %s: changed meanwhile", path);
	map_look_close(&file);
	return code;
}

int generation_close(struct generation *map, struct error *err)
{
	int code = 0;

	if (map == NULL)
		return 0;
	stop_cleaning(map);
	if (map->store != NULL)
		code = map_store_close(map->store, err);
	release(map);
	return code;
}

/* ---- state ---- */

int generation_move(struct generation *map, const char *drive_path, struct error *err)
{
	return map->store != NULL ? map_store_move(map->store, drive_path, err) : 0;
}

enum map_trust generation_trust(const struct generation *map)
{
	return map->store != NULL ? map_store_trust(map->store) : MAP_NEW;
}

void generation_sync(struct generation *map)
{
	if (map->store != NULL)
		map_store_sync(map->store);
}

void generation_settle(struct generation *map)
{
	if (map->store != NULL && map_store_settle(map->store) != 0)
		generation_drop(map);
}

void generation_drop(struct generation *map)
{
	atomic_store(&map->sure_from, generation_current(map));
	if (map->store != NULL)
		map_store_drop(map->store);
}

int generation_failure(const struct generation *map, struct error *err)
{
	return map->store != NULL ? map_store_failure(map->store, err) : 0;
}

uint64_t generation_n_clusters(const struct generation *map)
{
	return map->n_clusters;
}

uint64_t generation_id(const struct generation *map)
{
	return map->id;
}

uint64_t generation_lost_id(const struct generation *map)
{
	return map->store != NULL ? map_store_lost_id(map->store) : 0;
}

uint16_t generation_current(const struct generation *map)
{
	return atomic_load_explicit(&map->current, memory_order_relaxed);
}

/* ---- marks ---- */

static void clear(struct generation *map)
{
	for (uint64_t group = 0; group < map->n_groups; group++) {
		_Atomic uint16_t *marks = map->clusters + group * GROUP_CLUSTERS;
		if (generation_load(&map->groups[group]) == 0)
			continue;
		for (uint32_t i = 0; i < GROUP_CLUSTERS; i++)
			generation_raise_to(&marks[i], 0);
		generation_raise_to(&map->groups[group], 0);
	}
	for (uint32_t i = 0; i <= GENERATION_MAX; i++)
		atomic_store_explicit(&map->counts[i], 0, memory_order_relaxed);
}

/* Of a map in memory: now, as it begins anew. */
static void take_beginning(struct generation *map)
{
	atomic_store(&map->began_ns,
		     map->store == NULL ? clock_real_ns() : map_store_header(map->store)->began_ns);
}

static uint16_t restart(struct generation *map)
{
	struct error ignored;

	if (new_id(map, &ignored) != 0)
		map->id++;
	atomic_store(&map->current, 1);
	atomic_store(&map->sure_from, 0);
	checkpoints_void(map->checkpoints, map->id);
	clear(map);
	if (map->store != NULL)
		map_store_restart_locked(map->store, map->id);
	take_beginning(map);
	return 0;
}

static uint16_t advance(struct generation *map)
{
	uint16_t ended = generation_current(map);

	if (ended == GENERATION_MAX)
		return restart(map);
	atomic_store(&map->current, (uint16_t)(ended + 1));
	if (map->store != NULL)
		map_store_advance_locked(map->store, (uint16_t)(ended + 1));
	return ended;
}

void generation_restart(struct generation *map)
{
	if (map->store != NULL)
		map_store_lock(map->store);
	restart(map);
	if (map->store != NULL)
		map_store_unlock(map->store);
}

uint16_t generation_advance(struct generation *map)
{
	if (map->store != NULL)
		map_store_lock(map->store);
	uint16_t ended = advance(map);
	if (map->store != NULL)
		map_store_unlock(map->store);
	return ended;
}

/* ---- queries ---- */

bool generation_is_sure(const struct generation *map, uint16_t g)
{
	return g >= atomic_load(&map->sure_from);
}

bool generation_changed(const struct generation *map, uint16_t g, uint64_t cluster,
			uint64_t *n_clusters)
{
	uint64_t at = cluster, left = map->n_clusters - cluster;
	uint64_t end = cluster + least(left, LOOK_MAX);
	if (!generation_is_sure(map, g)) {
		*n_clusters = left;
		return true;
	}
	bool changed = generation_load(&map->groups[at / GROUP_CLUSTERS]) > g &&
		       generation_load(&map->clusters[at]) > g;

	while (at < end) {
		uint64_t next = least((at / GROUP_CLUSTERS + 1) * GROUP_CLUSTERS, end);
		if (generation_load(&map->groups[at / GROUP_CLUSTERS]) <= g) {
			if (changed)
				break;
			at = next;
			continue;
		}
		while (at < next && (generation_load(&map->clusters[at]) > g) == changed)
			at++;
		if (at < next)
			break;
	}
	/* A mark may have appeared since the first look. */
	*n_clusters = at > cluster ? at - cluster : 1;
	return changed;
}

uint64_t generation_count(const struct generation *map, uint16_t g)
{
	uint64_t count = 0;

	if (!generation_is_sure(map, g))
		return map->n_clusters;
	for (uint32_t i = (uint32_t)g + 1; i <= generation_current(map); i++)
		count += atomic_load_explicit(&map->counts[i], memory_order_relaxed);
	return count;
}

uint64_t generation_changed_bytes(const struct generation *map, uint16_t g)
{
	uint64_t bytes = generation_count(map, g) * CLUSTER_SIZE, n;

	if (map->n_clusters > 0 && generation_changed(map, g, map->n_clusters - 1, &n))
		bytes -= map->n_clusters * CLUSTER_SIZE - map->drive_bytes;
	return bytes;
}

struct checkpoints *generation_checkpoints(const struct generation *map)
{
	return map->checkpoints;
}
