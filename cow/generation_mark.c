/*
 * Marks: in memory with one store a cluster; in a file as sections 3 and 6 of spec/map.md say.
 */
#include "cow/generation_state.h"

/* Of several threads one finds the old number. */
static void mark_cluster(struct generation *map, uint64_t cluster, uint16_t current)
{
	_Atomic uint16_t *mark = &map->clusters[cluster];

	if (generation_load(mark) == current)
		return;
	uint16_t old =
		le16toh(atomic_exchange_explicit(mark, htole16(current), memory_order_relaxed));
	if (old == current)
		return;
	atomic_fetch_add_explicit(&map->counts[current], 1, memory_order_relaxed);
	if (old != 0)
		atomic_fetch_sub_explicit(&map->counts[old], 1, memory_order_relaxed);
}

static void mark_in_memory(struct generation *map, uint64_t cluster, uint64_t end)
{
	uint16_t current = generation_current(map);

	for (uint64_t group = cluster / GROUP_CLUSTERS; group * GROUP_CLUSTERS < end; group++)
		generation_raise_to(&map->groups[group], current);
	for (; cluster < end; cluster++)
		mark_cluster(map, cluster, current);
}

static uint64_t rise_of(const struct generation *map, uint64_t cluster, uint64_t end)
{
	uint16_t current = generation_current(map);
	uint64_t rise = 0;

	for (; cluster < end; cluster++)
		rise += current - generation_load(&map->clusters[cluster]);
	return rise;
}

/* All clusters are of one group. *is_new is set if any mark is. */
static bool mark_in_file(struct generation *map, uint64_t cluster, uint64_t end, bool now,
			 bool *is_new)
{
	_Atomic uint16_t *group = &map->groups[cluster / GROUP_CLUSTERS];
	uint64_t rise;

	if (rise_of(map, cluster, end) == 0)
		return true;
	if (!map_store_heat_locked(map->store, cluster, end, now))
		return false;
	/* Others may have marked them meanwhile. */
	rise = rise_of(map, cluster, end);
	if (rise == 0)
		return true;
	bool raises_group = generation_load(group) < generation_current(map);
	*is_new = true;
	map_store_promise_locked(map->store, rise);
	map_store_begin_marks_locked(map->store);
	mark_in_memory(map, cluster, end);
	if (raises_group)
		map_store_page_locked(map->store, generation_page_of(map, group));
	map_store_page_locked(map->store, generation_page_of(map, &map->clusters[cluster]));
	map_store_end_marks_locked(map->store);
	return true;
}

/* Without the lock, for most writes of a guest: they find marks that are in the file, for which the
 * log was waited for. A map that begins anew meanwhile may lose them, as if this had been before:
 * no instant needs what is written then. */
static bool is_marked(const struct generation *map, uint64_t cluster, uint64_t end)
{
	uint64_t n_changes = map_store_changes(map->store);
	uint16_t current = generation_current(map);

	if (n_changes % 2 != 0)
		return false;
	for (; cluster < end; cluster++)
		if (generation_load(&map->clusters[cluster]) != current)
			return false;
	atomic_thread_fence(memory_order_acquire);
	return map_store_changes(map->store) == n_changes && map_store_is_touched(map->store);
}

static bool mark(struct generation *map, uint64_t cluster, uint64_t n_clusters, bool now)
{
	uint64_t end = cluster + n_clusters;
	bool is_new = false, done = true;

	if (map->store == NULL) {
		mark_in_memory(map, cluster, end);
		return true;
	}
	if (is_marked(map, cluster, end))
		return true;
	map_store_lock(map->store);
	while (cluster < end && done) {
		uint64_t next = least((cluster / GROUP_CLUSTERS + 1) * GROUP_CLUSTERS, end);
		done = mark_in_file(map, cluster, next, now, &is_new);
		cluster = next;
	}
	if (is_new)
		map_store_promise_locked(map->store, 0);
	if (done)
		map_store_touch_locked(map->store);
	map_store_unlock(map->store);
	return done;
}

void generation_mark(struct generation *map, uint64_t cluster, uint64_t n_clusters)
{
	mark(map, cluster, n_clusters, false);
}

bool generation_mark_now(struct generation *map, uint64_t cluster, uint64_t n_clusters)
{
	return mark(map, cluster, n_clusters, true);
}
