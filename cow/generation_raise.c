/*
 * Marks that come from another map: clusters that changed before this map could record them.
 */
#include "cow/generation_state.h"

/* Of clusters whose bits are set and whose marks are below: how many there are in a group, and by
 * how much all of the marks will rise. */
struct rise {
	uint64_t n, sum;
};

static bool has_bit(const uint8_t *bits, uint64_t i)
{
	return (bits[i / 8] >> i % 8 & 1) != 0;
}

static struct rise measure(const struct generation *map, const uint8_t *bits, uint64_t first,
			   uint64_t end, uint16_t to)
{
	struct rise out = {0};

	for (uint64_t i = first; i < end; i++) {
		uint64_t mark = generation_load(&map->clusters[i]);

		if (mark >= to || !has_bit(bits, i - first))
			continue;
		out.n++;
		out.sum += to - mark;
	}
	return out;
}

/* A guest's mark may come between, and is higher. Returns by how much the mark rose. */
static uint64_t raise_one(struct generation *map, uint64_t cluster, uint16_t to)
{
	_Atomic uint16_t *mark = &map->clusters[cluster];
	uint16_t old = atomic_load(mark);

	while (le16toh(old) < to) {
		if (!atomic_compare_exchange_weak(mark, &old, htole16(to)))
			continue;
		atomic_fetch_add(&map->counts[to], 1);
		if (old != 0)
			atomic_fetch_sub(&map->counts[le16toh(old)], 1);
		return to - le16toh(old);
	}
	return 0;
}

/* A guest's mark may raise the group meanwhile. */
static bool raise_group(struct generation *map, uint64_t group, uint16_t to)
{
	_Atomic uint16_t *mark = &map->groups[group];
	uint16_t old = atomic_load(mark);

	while (le16toh(old) < to) {
		if (atomic_compare_exchange_weak(mark, &old, htole16(to)))
			return true;
	}
	return false;
}

static void raise_part(struct generation *map, const uint8_t *bits, uint64_t first, uint64_t end,
		       uint16_t to)
{
	uint64_t group = first / GROUP_CLUSTERS;
	bool is_new = raise_group(map, group, to);

	for (uint64_t i = first; i < end; i++) {
		if (has_bit(bits, i - first))
			raise_one(map, i, to);
	}
	if (map->store == NULL)
		return;
	if (is_new)
		map_store_page_locked(map->store, generation_page_of(map, &map->groups[group]));
	map_store_page_locked(map->store, generation_page_of(map, &map->clusters[first]));
}

/* A part of the work, of clusters of one group: their bits begin in a byte of their own. */
static void raise_in_group(struct generation *map, const uint8_t *bits, uint64_t first,
			   uint64_t end, uint16_t to)
{
	struct rise rise;

	if (map->store == NULL) {
		raise_part(map, bits, first, end, to);
		return;
	}
	map_store_lock(map->store);
	map_store_heat_locked(map->store, first, end, false);
	rise = measure(map, bits, first, end, to);
	if (rise.n > 0) {
		map_store_promise_locked(map->store, rise.sum);
		raise_part(map, bits, first, end, to);
		map_store_promise_locked(map->store, 0);
	}
	map_store_unlock(map->store);
}

static bool is_empty(const uint8_t *bits, uint64_t n)
{
	uint64_t bytes = (n + 7) / 8;

	for (uint64_t i = 0; i < bytes; i++) {
		if (bits[i] != 0)
			return false;
	}
	return true;
}

void generation_raise(struct generation *map, uint16_t g, uint64_t cluster, const uint8_t *bits,
		      uint64_t n_clusters)
{
	uint64_t end = cluster + n_clusters, at = cluster;
	uint16_t to = (uint16_t)(g + 1);

	while (at < end) {
		uint64_t next = least((at / GROUP_CLUSTERS + 1) * GROUP_CLUSTERS, end);
		const uint8_t *part = bits + (at - cluster) / 8;

		if (!is_empty(part, next - at))
			raise_in_group(map, part, at, next, to);
		at = next;
	}
}

void generation_bits(const struct generation *map, uint16_t g, uint64_t cluster, uint8_t *bits,
		     uint64_t n_clusters)
{
	uint64_t end = cluster + n_clusters, n;

	for (uint64_t i = 0; i < (n_clusters + 7) / 8; i++)
		bits[i] = 0;
	for (uint64_t at = cluster; at < end; at += n) {
		bool changed = generation_changed(map, g, at, &n);

		n = least(n, end - at);
		for (uint64_t i = at - cluster; changed && i < at - cluster + n; i++)
			bits[i / 8] |= (uint8_t)(1u << i % 8);
	}
}

/* ---- since when it records ---- */

bool generation_is_of_others(const struct generation *map)
{
	return map->of_others;
}

uint64_t generation_began_ns(const struct generation *map)
{
	return atomic_load(&map->began_ns);
}

void generation_begin(struct generation *map, uint64_t began_ns)
{
	atomic_store(&map->began_ns, began_ns);
	if (map->store == NULL)
		return;
	map_store_lock(map->store);
	map_store_began_locked(map->store, began_ns);
	map_store_unlock(map->store);
}
