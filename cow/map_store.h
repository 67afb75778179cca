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

/* Opens or makes the file, and reads it into memory if it counts. Durable when it comes back: that
 * the map is open. */
int map_store_open(struct map_store **out, const char *path, const char *drive_path,
		   uint64_t drive_bytes, const struct map_memory *memory, struct error *err);
/* Has all of it written, and the map closed; an error if the file does not count from here on.
 * Frees. */
int map_store_close(struct map_store *store, struct error *err);

enum map_trust map_store_trust(const struct map_store *store);
const struct map_header *map_store_header(const struct map_store *store);

/* Held while the memory is changed, and while that is written. */
void map_store_lock(struct map_store *store);
void map_store_unlock(struct map_store *store);

/* All of these with the lock. They never fail: a file that cannot be written does not count from
 * then on, and the memory does. */

/* Before marks are raised, by so much in all; and when that is done, with 0. */
void map_store_promise_locked(struct map_store *store, uint64_t rise);
/* A page of the memory was changed, that at offset. */
void map_store_page_locked(struct map_store *store, uint64_t offset);
/* Something is written that was marked before. */
void map_store_touch_locked(struct map_store *store);
/* Another generation. */
void map_store_advance_locked(struct map_store *store, uint16_t current);
/* Another map; the memory is all zeros by now. */
void map_store_restart_locked(struct map_store *store, uint64_t id);

/* Asks the disk. Without the lock, and may wait; any thread. */
void map_store_sync(struct map_store *store);
/* The file does not count any more. */
void map_store_drop(struct map_store *store);
/* 0 while the file counts. Any thread. */
int map_store_failure(const struct map_store *store, struct error *err);

#endif
