/*
 * A map in memory: private to cow/generation*.c.
 */
#ifndef COW_GENERATION_STATE_H
#define COW_GENERATION_STATE_H

#include "cow/generation.h"
#include "cow/map_parts.h"

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>

#define GROUP_CLUSTERS MAP_GROUP_CLUSTERS
#define PAGE	       MAP_PAGE
#define SIZE_MAX_BYTES (UINT64_C(1) << 62) /* of a drive: no sum below can overflow */
#define LOOK_MAX       (UINT64_C(1) << 20) /* clusters looked at by generation_changed */

struct generation {
	uint64_t drive_bytes, n_clusters, n_groups;
	uint8_t *memory; /* mapped, size_bytes */
	size_t size_bytes;
	uint64_t tables_at, log_at; /* in the memory */
	uint64_t n_regions;
	_Atomic uint16_t *groups; /* little-endian, as in a file */
	_Atomic uint16_t *clusters;
	_Atomic uint16_t current;
	_Atomic uint64_t id;
	_Atomic uint64_t began_ns;  /* since 1970, when the recording began; 0: not known */
	_Atomic uint16_t sure_from; /* the first generation of which the marks tell all */
	bool of_others;		    /* writes are recorded elsewhere */
	bool left_open;		    /* of a file that was not closed in order */
	struct map_store *store;    /* NULL: in memory only */
	struct checkpoints *checkpoints;
	pthread_t cleaner; /* of the store's log */
	bool cleaning;
	/* How many clusters have each number but 0; memory is taken by those that are in use. */
	_Atomic uint64_t *counts;
};

static inline uint64_t generation_load(const _Atomic uint16_t *mark)
{
	return le16toh(atomic_load_explicit(mark, memory_order_relaxed));
}

/* Most writes hit a cluster that is marked already: not storing again keeps its cache line shared.
 */
static inline void generation_raise_to(_Atomic uint16_t *mark, uint16_t value)
{
	if (generation_load(mark) != value)
		atomic_store_explicit(mark, htole16(value), memory_order_relaxed);
}

/* The offset in the map's memory of the page that has the mark. */
static inline uint64_t generation_page_of(const struct generation *map,
					  const _Atomic uint16_t *mark)
{
	return (uint64_t)((const uint8_t *)mark - map->memory) / PAGE * PAGE;
}

#endif
