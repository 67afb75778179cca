/*
 * The file of a map: sections 1, 3 and 4 of spec/map.md. Private to cow/.
 */
#ifndef COW_MAP_STORE_H
#define COW_MAP_STORE_H

#include "cow/map_file.h"

#define MAP_PAGE	   4096u
#define MAP_GROUP_CLUSTERS 2048u /* their marks fill a page */

struct map_store;

/* The map in memory, laid out as in the file; borrowed, and zeros until the store is open. */
struct map_memory {
	uint8_t *bytes;
	uint64_t size_bytes;
	uint64_t n_groups, n_group_pages;
};

/* Opens or creates the file, and reads it into memory if it counts. When it returns, the file says
 * durably that the map is open. */
int map_store_open(struct map_store **out, const char *path, const char *drive_path,
		   uint64_t drive_bytes, const struct map_memory *memory, struct error *err);
/* Writes all of it, marks the map as closed, and frees the store. An error: the file does not count
 * any more. */
int map_store_close(struct map_store *store, struct error *err);

enum map_trust map_store_trust(const struct map_store *store);
const struct map_header *map_store_header(const struct map_store *store);

/* Held while the memory changes and the change is written. */
void map_store_lock(struct map_store *store);
void map_store_unlock(struct map_store *store);

/* Call all of these with the lock held. They never fail: a file that cannot be written just does
 * not count any more, and the memory does. */

/* Before marks are raised: by how much in total; and again with 0 when that is done. */
void map_store_promise_locked(struct map_store *store, uint64_t rise);
/* The page of memory at offset has changed. */
void map_store_page_locked(struct map_store *store, uint64_t offset);
/* A cluster that is already marked is written. */
void map_store_touch_locked(struct map_store *store);
/* A new generation. */
void map_store_advance_locked(struct map_store *store, uint16_t current);
/* A new map; the memory is already all zeros. */
void map_store_restart_locked(struct map_store *store, uint64_t id);

/* Checks the disk. Call it without the lock; may wait; any thread. */
void map_store_sync(struct map_store *store);
/* Makes the file no longer count. */
void map_store_drop(struct map_store *store);
/* 0 while the file counts. Any thread. */
int map_store_failure(const struct map_store *store, struct error *err);

#endif
