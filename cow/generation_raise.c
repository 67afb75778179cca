/*
 * Marks that come from another map: clusters that changed before this map could record them.
 */
#include "cow/generation_state.h"

/* So long others wait for the lock. */
#define BATCH_GROUPS 8u

/* Of clusters whose bits are set and whose marks are below: how many there are in a group, and by
 * how much all of the marks will rise. */
struct rise {
	uint64_t n, sum;
};

static bool has_bit(const uint8_t *bits, uint64_t i)
{
	return (bits[i / 8] >> i % 8 & 1) != 0;
}

/* From i on the first that is set, or n. */
static uint64_t next_bit(const uint8_t *bits, uint64_t i, uint64_t n)
{
	while (i < n && !has_bit(bits, i))
		i += i % 8 == 0 && bits[i / 8] == 0 ? 8 : 1;
	return least(i, n);
}

static struct rise measure(const struct generation *map, const uint8_t *bits, uint64_t first,
			   uint64_t end, uint16_t to)
{
	struct rise out = {0};
	uint64_t n = end - first;

	for (uint64_t i = next_bit(bits, 0, n); i < n; i = next_bit(bits, i + 1, n)) {
		uint64_t mark = generation_load(&map->clusters[first + i]);

		if (mark >= to)
			continue;
		out.n++;
		out.sum += to - mark;
	}
	return out;
}

/* A guest's mark may come between, and is higher. */
static void raise_one(struct generation *map, uint64_t cluster, uint16_t to)
{
	_Atomic uint16_t *mark = &map->clusters[cluster];
	uint16_t old = atomic_load(mark);

	while (le16toh(old) < to) {
		if (!atomic_compare_exchange_weak(mark, &old, htole16(to)))
			continue;
		atomic_fetch_add(&map->counts[to], 1);
		if (old != 0)
			atomic_fetch_sub(&map->counts[le16toh(old)], 1);
		return;
	}
}

static void raise_clusters(struct generation *map, const uint8_t *bits, uint64_t first,
			   uint64_t end, uint16_t to)
{
	uint64_t n = end - first;

	for (uint64_t i = next_bit(bits, 0, n); i < n; i = next_bit(bits, i + 1, n))
		raise_one(map, first + i, to);
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

/* ---- groups of clusters ---- */

/* Some clusters, whose bits begin in a byte of their own, and the part of them that is in one
 * group.
 */
struct part {
	const uint8_t *bits; /* of all */
	uint64_t first, end; /* all */
	uint64_t at, next;   /* the part; at == end: there is none */
};

static const uint8_t *bits_of(const struct part *part)
{
	return part->bits + (part->at - part->first) / 8;
}

/* The next one with a bit that is set. */
static bool next_part(struct part *part)
{
	for (part->at = part->next; part->at < part->end; part->at = part->next) {
		part->next = least((part->at / GROUP_CLUSTERS + 1) * GROUP_CLUSTERS, part->end);
		if (next_bit(bits_of(part), 0, part->next - part->at) < part->next - part->at)
			return true;
	}
	return false;
}

static struct part parts_of(const uint8_t *bits, uint64_t first, uint64_t end)
{
	return (struct part){.bits = bits, .first = first, .end = end, .at = first, .next = first};
}

/* All of their regions, at one time without the lock being let go. */
static void heat_locked(struct generation *map, const struct part *all)
{
	bool hot = false;

	while (!hot) {
		struct part part = *all;
		while (next_part(&part))
			map_store_heat_locked(map->store, part.at, part.next, false);
		hot = true;
		part = *all;
		while (next_part(&part))
			hot &= map_store_heat_locked(map->store, part.at, part.next, true);
	}
}

/* Their page is written once, as far as it is one. */
static void raise_groups_locked(struct generation *map, struct part part, uint16_t to)
{
	uint64_t page = UINT64_MAX;

	while (next_part(&part)) {
		uint64_t group = part.at / GROUP_CLUSTERS;
		uint64_t own = generation_page_of(map, &map->groups[group]);

		if (!raise_group(map, group, to) || own == page)
			continue;
		if (page != UINT64_MAX)
			map_store_page_locked(map->store, page);
		page = own;
	}
	if (page != UINT64_MAX)
		map_store_page_locked(map->store, page);
}

/* Each page of clusters is written whole, or not at all if the process is killed: then the sum is
 * one of the two that were promised before it. */
static void raise_batch(struct generation *map, const struct part *all, uint16_t to)
{
	struct part part = *all;
	bool any = false;

	map_store_lock(map->store);
	heat_locked(map, all);
	while (next_part(&part)) {
		struct rise rise = measure(map, bits_of(&part), part.at, part.next, to);

		if (rise.n == 0)
			continue;
		map_store_promise_locked(map->store, rise.sum);
		map_store_begin_marks_locked(map->store);
		if (!any)
			raise_groups_locked(map, *all, to);
		any = true;
		raise_clusters(map, bits_of(&part), part.at, part.next, to);
		map_store_page_locked(map->store, generation_page_of(map, &map->clusters[part.at]));
		map_store_end_marks_locked(map->store);
	}
	if (any)
		map_store_promise_locked(map->store, 0);
	map_store_unlock(map->store);
}

static void raise_in_memory(struct generation *map, struct part part, uint16_t to)
{
	while (next_part(&part)) {
		raise_group(map, part.at / GROUP_CLUSTERS, to);
		raise_clusters(map, bits_of(&part), part.at, part.next, to);
	}
}

/* The first wait for the disk is for all. */
static void want(struct generation *map, struct part part)
{
	map_store_lock(map->store);
	while (next_part(&part))
		map_store_want_locked(map->store, part.at, part.next);
	map_store_unlock(map->store);
}

void generation_raise(struct generation *map, uint16_t g, uint64_t cluster, const uint8_t *bits,
		      uint64_t n_clusters)
{
	uint64_t end = cluster + n_clusters;
	struct part all = parts_of(bits, cluster, end);
	uint16_t to = (uint16_t)(g + 1);

	if (map->store == NULL) {
		raise_in_memory(map, all, to);
		return;
	}
	want(map, all);
	for (uint64_t at = cluster; at < end;) {
		uint64_t next = least((at / GROUP_CLUSTERS + BATCH_GROUPS) * GROUP_CLUSTERS, end);

		all = parts_of(bits + (at - cluster) / 8, at, next);
		if (next_bit(all.bits, 0, next - at) < next - at)
			raise_batch(map, &all, to);
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

bool generation_was_left_open(const struct generation *map)
{
	return map->left_open;
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
