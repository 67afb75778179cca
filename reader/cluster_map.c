#include "reader/salvage.h"

#include <stdlib.h>

#define LONG_RUN 64u /* clusters */

static uint64_t words_of(const struct cluster_map *map)
{
	return map->n_clusters / 64 + 1;
}

int cluster_map_open(struct cluster_map *out, uint64_t n_clusters, const struct archive *archive,
		     struct error *err)
{
	static const uint8_t none[UUID_SIZE];
	*out = (struct cluster_map){.n_clusters = n_clusters};
	bool unproved = archive->cluster_checksum == CLUSTER_UNPROTECTED;
	for (unsigned i = 0; i < UUID_SIZE; i++)
		out->incremental |= archive->parent[i] != none[i];
	out->had = calloc(words_of(out), sizeof *out->had);
	if (unproved)
		out->unproved = calloc(words_of(out), sizeof *out->unproved);
	if (out->incremental)
		out->named = calloc(words_of(out), sizeof *out->named);
	if (out->had == NULL || (unproved && out->unproved == NULL) ||
	    (out->incremental && out->named == NULL))
		return fail(err, ERR_SYSTEM, "no memory for the map of a drive of %llu clusters",
			    (unsigned long long)n_clusters);
	return 0;
}

void cluster_map_close(struct cluster_map *map)
{
	free(map->had);
	free(map->unproved);
	free(map->named);
	*map = (struct cluster_map){0};
}

static bool get_bit(const uint64_t *bits, uint64_t cluster)
{
	return bits != NULL && (bits[cluster / 64] >> cluster % 64 & 1) != 0;
}

bool cluster_map_has(const struct cluster_map *map, uint64_t cluster)
{
	return get_bit(map->had, cluster);
}

static void set_bits(uint64_t *bits, uint64_t cluster, uint64_t n_clusters)
{
	for (uint64_t n; n_clusters > 0; cluster += n, n_clusters -= n) {
		uint64_t bit = cluster % 64;
		n = n_clusters < 64 - bit ? n_clusters : 64 - bit;
		bits[cluster / 64] |= UINT64_MAX >> (64 - n) << bit;
	}
}

/* A whole archive names every cluster once, in a slot and in the index; one with doubled pieces a
 * few times. What goes on and on is meant to take time, and gets none. */
static bool may_spend(struct cluster_map *map, uint64_t n_clusters)
{
	if (n_clusters <= LONG_RUN)
		return true;
	map->n_work += n_clusters / 64;
	return map->n_work / 16 <= words_of(map);
}

void cluster_map_put(struct cluster_map *map, const struct slot *slot, enum salvage_state state)
{
	if (!may_spend(map, slot->n_clusters))
		return;
	if (map->named != NULL)
		set_bits(map->named, slot->cluster, slot->n_clusters);
	if (state == SALVAGE_BAD || state == SALVAGE_NAMED)
		return;
	set_bits(map->had, slot->cluster, slot->n_clusters);
	if (state == SALVAGE_UNVERIFIED)
		set_bits(map->unproved, slot->cluster, slot->n_clusters);
}

static enum cluster_state state_of(const struct cluster_map *map, uint64_t cluster)
{
	if (get_bit(map->had, cluster))
		return get_bit(map->unproved, cluster) ? CLUSTER_UNPROVED : CLUSTER_GOOD;
	return map->incremental && !get_bit(map->named, cluster) ? CLUSTER_ABSENT : CLUSTER_LOST;
}

/* Whether 64 clusters from here are all in the state of the first: the same words as its bits. */
static bool same_word(const struct cluster_map *map, uint64_t word, uint64_t cluster)
{
	const uint64_t *all[] = {map->had, map->unproved, map->named};
	for (unsigned i = 0; i < 3; i++) {
		uint64_t wanted = get_bit(all[i], cluster) ? UINT64_MAX : 0;
		if (all[i] != NULL && all[i][word] != wanted)
			return false;
	}
	return true;
}

uint64_t cluster_map_run(const struct cluster_map *map, uint64_t cluster, enum cluster_state *state)
{
	uint64_t end = cluster;
	if (cluster >= map->n_clusters)
		return 0;
	*state = state_of(map, cluster);
	while (end < map->n_clusters) {
		if (end % 64 == 0 && map->n_clusters - end >= 64 &&
		    same_word(map, end / 64, cluster))
			end += 64;
		else if (state_of(map, end) == *state)
			end++;
		else
			break;
	}
	return end - cluster;
}
