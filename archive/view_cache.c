#include "archive/view_cache.h"

#include "base/watcher.h"
#include "reader/input/input.h"
#include "reader/lookup.h"

#include <errno.h>
#include <stdlib.h>

#define BENCHES 16u

/* What a thread needs to load an extent. */
struct view_bench {
	struct view_bench *next;
	struct section section;
	uint8_t header[SECTION_HEADER_MAX];
	uint8_t cluster[CLUSTER_SIZE];
	uint8_t *stored; /* PAYLOAD_SIZE_MAX, once it is needed */
};

static void free_benches(struct view_bench *bench)
{
	while (bench != NULL) {
		struct view_bench *next = bench->next;

		free(bench->stored);
		free(bench);
		bench = next;
	}
}

int view_cache_open(struct view_cache *out, struct view_links *links, struct view_map *map,
		    uint64_t most_bytes, const struct watcher *watcher, struct error *err)
{
	*out = (struct view_cache){
		.links = links, .map = map, .watcher = watcher, .most = most_bytes};
	pthread_mutex_init(&out->lock, NULL);
	pthread_mutex_init(&out->telling, NULL);
	view_room_open(&out->room);
	pthread_cond_init(&out->free_bench, NULL);
	for (unsigned i = 0; i < VIEW_WAITS; i++)
		pthread_cond_init(&out->loaded[i], NULL);
	for (unsigned i = 0; i < BENCHES; i++) {
		struct view_bench *bench = calloc(1, sizeof(*bench));

		if (bench == NULL)
			return fail_memory(err);
		bench->next = out->benches;
		out->benches = bench;
	}
	return 0;
}

static void free_held(struct view_cache *cache, struct view_held *held)
{
	view_room_give(&cache->room, held->blocks, held->room);
	free(held->slots);
	free(held);
}

void view_cache_close(struct view_cache *cache)
{
	for (struct view_held *held = cache->newest, *older; held != NULL; held = older) {
		older = held->older;
		free_held(cache, held);
	}
	view_room_close(&cache->room);
	pthread_mutex_destroy(&cache->telling);
	free_benches(cache->benches);
	pthread_cond_destroy(&cache->free_bench);
	for (unsigned i = 0; i < VIEW_WAITS; i++)
		pthread_cond_destroy(&cache->loaded[i]);
	pthread_mutex_destroy(&cache->lock);
}

/* ---- order of use ---- */

static void unlink_locked(struct view_cache *cache, struct view_held *held)
{
	*(held->newer != NULL ? &held->newer->older : &cache->newest) = held->older;
	*(held->older != NULL ? &held->older->newer : &cache->oldest) = held->newer;
	held->newer = held->older = NULL;
}

static void link_locked(struct view_cache *cache, struct view_held *held)
{
	held->older = cache->newest;
	*(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = held;
	cache->newest = held;
}

static void drop_locked(struct view_cache *cache, struct view_held *held)
{
	unlink_locked(cache, held);
	cache->map->extents[held->extent].held = NULL;
	cache->cost -= held->cost;
	free_held(cache, held);
}

static void make_room_locked(struct view_cache *cache)
{
	struct view_held *held = cache->oldest;

	while (held != NULL && cache->cost > cache->most) {
		struct view_held *newer = held->newer;

		if (held->n_users == 0)
			drop_locked(cache, held);
		held = newer;
	}
}

/* ---- loading ---- */

static int compare_slots(const void *a, const void *b)
{
	const struct view_slot *x = a, *y = b;

	if (x->drive != y->drive)
		return x->drive < y->drive ? -1 : 1;
	return x->cluster < y->cluster ? -1 : x->cluster > y->cluster;
}

/* Of drives that the newest archive still has. */
static int take_slots(struct view_held *held, const struct section *section,
		      const struct view_link *link, uint32_t n_drives, struct error *err)
{
	uint32_t blocks_at = 0;
	struct view_slot *slots = calloc(section->n_slots + (size_t)1, sizeof(*slots));

	if (slots == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < section->n_slots; i++) {
		const struct slot *slot = &section->slots[i];
		uint32_t drive = link->drive_of[slot->drive];

		if (drive < n_drives)
			slots[held->n_slots++] =
				(struct view_slot){slot->cluster, slot->n_clusters, drive,
						   blocks_at,	  slot->mask,	    false};
		blocks_at += (uint32_t)__builtin_popcount(slot->mask) * BLOCK_SIZE;
	}
	qsort(slots, held->n_slots, sizeof(*slots), compare_slots);
	held->slots = slots;
	return 0;
}

static struct view_slot *find_slot(const struct view_held *held, uint32_t drive, uint64_t cluster)
{
	uint32_t low = 0, high = held->n_slots;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct view_slot *slot = &held->slots[middle];

		if (slot->drive == drive && slot->cluster <= cluster &&
		    cluster - slot->cluster < slot->n_clusters)
			return slot;
		if (slot->drive < drive || (slot->drive == drive && slot->cluster < cluster))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct view_slot *view_held_find(const struct view_held *held, uint32_t drive,
				       uint64_t cluster)
{
	return find_slot(held, drive, cluster);
}

/* A cluster whose checksum is wrong is bad, and so told of; the others are not. */
static void check_clusters(struct view_held *held, struct view_bench *bench,
			   const struct view_link *link, struct error *err)
{
	const struct section *section = &bench->section;
	const struct archive *archive = link->opened.archive;
	uint32_t blocks_at = 0;

	for (uint32_t i = 0; i < section->n_slots; i++) {
		const struct slot *slot = &section->slots[i];
		const uint8_t *ignored;
		struct error why;
		struct view_slot *bad;

		if (slot->mask == 0)
			continue;
		if (extent_cluster(archive, section, i, held->blocks + blocks_at, bench->cluster,
				   &ignored, &why) != 0) {
			bad = find_slot(held, link->drive_of[slot->drive], slot->cluster);
			if (bad != NULL)
				bad->bad = true;
			*err = err->code == 0 ? why : *err;
		}
		blocks_at += (uint32_t)__builtin_popcount(slot->mask) * BLOCK_SIZE;
	}
}

/* What a load found out, beside what it put into held. */
struct outcome {
	struct error header, blocks;
	struct error clusters; /* of those that are bad */
	uint64_t read_bytes;
	size_t cost; /* of the blocks */
};

static int load_blocks(struct view_cache *cache, struct view_held *held, struct view_bench *bench,
		       struct view_link *link, struct outcome *out)
{
	const struct section *section = &bench->section;
	bool plain = section->codec == CODEC_NONE;
	const uint8_t *blocks;
	uint8_t *stored;

	held->blocks = view_room_take(
		&cache->room, plain ? section->padded_size : section->raw_size, &held->room);
	if (held->blocks == NULL)
		return fail_memory(&out->blocks);
	out->cost = held->room;
	if (!plain && bench->stored == NULL)
		bench->stored = malloc(PAYLOAD_SIZE_MAX);
	stored = plain ? held->blocks : bench->stored;
	if (stored == NULL)
		return fail_memory(&out->blocks);
	TRY(lookup_payload(link->opened.input, section, stored, &out->blocks));
	out->read_bytes += section->padded_size;
	TRY(extent_open(link->opened.archive, section, stored, held->blocks, &blocks,
			&out->blocks));
	check_clusters(held, bench, link, &out->clusters);
	return 0;
}

static int load_from(struct view_cache *cache, struct view_held *held, bool blocks,
		     struct view_bench *bench, struct view_link *link, struct outcome *out)
{
	TRY(lookup_extent(link->opened.archive, link->opened.input,
			  cache->map->extents[held->extent].at, &bench->section, bench->header,
			  &out->header));
	out->read_bytes = bench->section.header_size;
	if (held->slots == NULL)
		TRY(take_slots(held, &bench->section, link, cache->map->n_drives, &out->header));
	if (blocks && bench->section.raw_size > 0 &&
	    load_blocks(cache, held, bench, link, out) != 0) {
		view_room_give(&cache->room, held->blocks, held->room);
		held->blocks = NULL;
		out->cost = 0;
	}
	return 0;
}

static void load(struct view_cache *cache, struct view_held *held, bool blocks,
		 struct view_bench *bench, struct outcome *out)
{
	struct view_link *link;

	if (view_link_get(cache->links, cache->map->extents[held->extent].link, &link,
			  &out->header) != 0)
		return;
	load_from(cache, held, blocks, bench, link, out);
	view_link_put(cache->links, link);
}

/* What is damaged stays so; what the system refuses may work the next time. */
static bool is_final(const struct error *err)
{
	return err->code == ERR_DAMAGED || err->code == ERR_UNSUPPORTED;
}

/* An errno value for what may work the next time, or 0. */
static int settle_part(const struct error *err, bool *has, int *error)
{
	*has = err->code == 0 || is_final(err);
	*error = err->code == 0 ? 0 : EIO;
	if (*has)
		return 0;
	return err->sys == ENOMEM || err->sys == EMFILE || err->sys == ENFILE ? err->sys : EIO;
}

static int take_outcome_locked(struct view_cache *cache, struct view_held *held, bool blocks,
			       const struct outcome *out)
{
	int later = settle_part(&out->header, &held->has_header, &held->header_error);

	if (later == 0 && held->header_error == 0 && blocks)
		later = settle_part(&out->blocks, &held->has_blocks, &held->blocks_error);
	held->cost = sizeof(*held) + held->n_slots * sizeof(*held->slots) + out->cost;
	cache->counts.read_bytes += out->read_bytes;
	cache->counts.n_decoded += held->blocks != NULL;
	return later;
}

/* ---- telling ---- */

static void tell(struct view_cache *cache, uint32_t number, const struct error *err)
{
	const struct view_extent *extent = &cache->map->extents[number];
	uint64_t place = err->has_place ? err->place : extent->at;

	pthread_mutex_lock(&cache->telling);
	watcher_warn(cache->watcher, "%s: byte %llu: %s; what lies there cannot be read",
		     view_link_name(cache->links, extent->link), (unsigned long long)place,
		     err->text);
	pthread_mutex_unlock(&cache->telling);
}

/* True: it is the first time. */
static bool note_damage_locked(struct view_cache *cache, uint32_t number)
{
	struct view_extent *extent = &cache->map->extents[number];
	bool first = !extent->told;

	extent->told = true;
	cache->counts.n_damaged += first;
	return first;
}

void view_cache_tell_lacking(struct view_cache *cache, uint32_t extent)
{
	struct error err = {0};
	bool first;

	pthread_mutex_lock(&cache->lock);
	first = note_damage_locked(cache, extent);
	pthread_mutex_unlock(&cache->lock);
	fail(&err, ERR_DAMAGED, "the extent lacks clusters that the index says it has");
	if (first)
		tell(cache, extent, &err);
}

/* ---- getting ---- */

static struct view_held *begin_locked(struct view_cache *cache, uint32_t extent)
{
	struct view_held *held = cache->map->extents[extent].held;

	if (held == NULL) {
		held = calloc(1, sizeof(*held));
		if (held == NULL)
			return NULL;
		held->extent = extent;
		held->cost = sizeof(*held);
		cache->cost += held->cost;
		cache->map->extents[extent].held = held;
		link_locked(cache, held);
	}
	held->loading = true;
	held->n_users++;
	return held;
}

static void end_locked(struct view_cache *cache, struct view_held *held)
{
	uint64_t *most = &cache->counts.cache_most_bytes;

	held->loading = false;
	held->n_users--;
	if (!held->has_header && held->n_users == 0)
		drop_locked(cache, held);
	make_room_locked(cache);
	*most = cache->cost > *most ? cache->cost : *most;
}

static bool has(const struct view_held *held, bool blocks)
{
	return held != NULL && held->has_header &&
	       (!blocks || held->has_blocks || held->header_error != 0);
}

static int hand_out_locked(struct view_cache *cache, struct view_held *held, bool blocks,
			   struct view_held **out)
{
	int error = held->header_error != 0 ? held->header_error : blocks ? held->blocks_error : 0;

	if (error != 0)
		return error;
	held->n_users++;
	if (held != cache->newest) {
		unlink_locked(cache, held);
		link_locked(cache, held);
	}
	*out = held;
	return 0;
}

/* Lets go of the lock while it loads. What came is handed out before others may push it out of a
 * cache that is full of what is in use. */
static int load_locked(struct view_cache *cache, uint32_t extent, bool blocks,
		       struct view_held **handed)
{
	struct view_held *held = begin_locked(cache, extent);
	struct view_bench *bench = cache->benches;
	struct outcome out = {0};
	const struct error *why;
	bool first;
	int later;

	if (held == NULL)
		return ENOMEM;
	cache->benches = bench->next;
	pthread_mutex_unlock(&cache->lock);
	load(cache, held, blocks, bench, &out);
	pthread_mutex_lock(&cache->lock);
	bench->next = cache->benches;
	cache->benches = bench;
	cache->cost -= held->cost;
	later = take_outcome_locked(cache, held, blocks, &out);
	cache->cost += held->cost;
	why = out.header.code != 0   ? &out.header
	      : out.blocks.code != 0 ? &out.blocks
				     : &out.clusters;
	first = why->code != 0 && note_damage_locked(cache, extent);
	if (later == 0)
		later = hand_out_locked(cache, held, blocks, handed);
	end_locked(cache, held);
	pthread_cond_broadcast(&cache->loaded[extent % VIEW_WAITS]);
	pthread_cond_signal(&cache->free_bench);
	if (first) {
		pthread_mutex_unlock(&cache->lock);
		tell(cache, extent, why);
		pthread_mutex_lock(&cache->lock);
	}
	return later;
}

int view_cache_get(struct view_cache *cache, uint32_t extent, unsigned want, struct view_held **out)
{
	bool blocks = (want & VIEW_BLOCKS) != 0;
	int error;

	pthread_mutex_lock(&cache->lock);
	for (;;) {
		struct view_held *held = cache->map->extents[extent].held;

		if (has(held, blocks))
			error = hand_out_locked(cache, held, blocks, out);
		else if (want & VIEW_NOW)
			error = EAGAIN;
		else if (held != NULL && held->loading) {
			pthread_cond_wait(&cache->loaded[extent % VIEW_WAITS], &cache->lock);
			continue;
		} else if (cache->benches == NULL) {
			pthread_cond_wait(&cache->free_bench, &cache->lock);
			continue;
		} else
			error = load_locked(cache, extent, blocks, out);
		break;
	}
	pthread_mutex_unlock(&cache->lock);
	return error;
}

void view_cache_put(struct view_cache *cache, struct view_held *held)
{
	pthread_mutex_lock(&cache->lock);
	held->n_users--;
	make_room_locked(cache);
	pthread_mutex_unlock(&cache->lock);
}

bool view_cache_lacks(struct view_cache *cache, uint32_t extent, unsigned want)
{
	const struct view_held *held;
	bool lacks;

	pthread_mutex_lock(&cache->lock);
	held = cache->map->extents[extent].held;
	lacks = !has(held, (want & VIEW_BLOCKS) != 0) && (held == NULL || !held->loading);
	pthread_mutex_unlock(&cache->lock);
	return lacks;
}
