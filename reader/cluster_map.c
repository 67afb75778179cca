/* The clusters of a drive that salvage has recovered. */
#include "reader/salvage.h"

#include "base/bytes.h"

void cluster_map_open(struct cluster_map *out, uint64_t n_clusters, const struct archive *archive)
{
	*out = (struct cluster_map){
		.n_clusters = n_clusters,
		.incremental = !all_zero(archive->parent, UUID_SIZE),
	};
}

void cluster_map_close(struct cluster_map *map)
{
	cluster_set_free(&map->recovered);
	cluster_set_free(&map->unproved);
	cluster_set_free(&map->named);
	*map = (struct cluster_map){0};
}

bool cluster_map_has(const struct cluster_map *map, uint64_t cluster)
{
	return cluster_set_has(&map->recovered, cluster);
}

int cluster_map_put(struct cluster_map *map, const struct slot *slot, enum salvage_state state,
		    struct error *err)
{
	if (map->incremental)
		TRY(cluster_set_include(&map->named, slot->cluster, slot->n_clusters, err));
	if (state == SALVAGE_BAD || state == SALVAGE_NAMED)
		return 0;
	TRY(cluster_set_include(&map->recovered, slot->cluster, slot->n_clusters, err));
	if (state == SALVAGE_UNVERIFIED)
		TRY(cluster_set_include(&map->unproved, slot->cluster, slot->n_clusters, err));
	return 0;
}

/* The state of a cluster, and how many clusters from it on, at most n_max, share it. */
static uint64_t look(const struct cluster_map *map, uint64_t cluster, uint64_t n_max,
		     enum cluster_state *state)
{
	bool recovered, unproved, named;
	uint64_t n = cluster_set_run(&map->recovered, cluster, n_max, &recovered);

	n = cluster_set_run(&map->unproved, cluster, n, &unproved);
	n = cluster_set_run(&map->named, cluster, n, &named);
	if (recovered)
		*state = unproved ? CLUSTER_UNPROVED : CLUSTER_GOOD;
	else
		*state = map->incremental && !named ? CLUSTER_ABSENT : CLUSTER_LOST;
	return n;
}

uint64_t cluster_map_run(const struct cluster_map *map, uint64_t cluster, enum cluster_state *state)
{
	uint64_t n = 0, more;
	enum cluster_state next;

	while (cluster + n < map->n_clusters) {
		more = look(map, cluster + n, map->n_clusters - cluster - n, &next);
		if (n > 0 && next != *state)
			break;
		*state = next;
		n += more;
	}
	return n;
}
