/*
 * A map in a file: spec/map.md. Private to cow/.
 */
#ifndef COW_MAP_PARTS_H
#define COW_MAP_PARTS_H

#include "cow/checkpoints.h"
#include "cow/generation.h"

#include <sys/stat.h>

/* ---- map_file.c ----
 *
 * The header of a map's file, and whether the marks still match the drive: sections 2 and 5 of
 * spec/map.md.
 */

#define MAP_HEADER_SIZE 4096u /* before the marks */
#define MAP_LAST_AT	1024u /* the time of the last mark: 8 bytes, under no checksum */
#define MAP_SUM_AT	1032u /* the sums of all marks before the last change and after it: 16 bytes */
#define MAP_ID_SIZE	16u

enum map_state { MAP_STATE_CLEAN = 1, MAP_STATE_OPEN = 2 };
/* MAP_DRIVE_ELSEWHERE: who records the writes is no affair of the map. */
enum map_drive { MAP_DRIVE_FILE = 1, MAP_DRIVE_DEVICE = 2, MAP_DRIVE_ELSEWHERE = 3 };

/* Tells a drive from others, and from its own state at another time. */
struct drive_look {
	uint32_t kind;	 /* enum map_drive */
	uint64_t device; /* device number: of the file system that holds the file, or its own */
	uint64_t inode;	 /* of a file */
	/* A number that nothing else of this boot has, 0: unknown. Of a device: the disk. Of a
	 * file: its file system for as long as that is mounted: times of change in memory are lost
	 * if the file system vanishes without being unmounted. */
	uint64_t disk;
	uint64_t size_bytes;
	uint64_t mtime_ns; /* of a file */
	uint64_t n_writes; /* of a device: sectors written or discarded since it appeared */
};

struct map_header {
	uint32_t state;	   /* enum map_state */
	uint64_t sequence; /* of the two headers, the one with the higher number counts */
	uint64_t id;
	uint8_t boot_id[MAP_ID_SIZE];
	uint16_t current;
	uint64_t began_ns;	 /* since 1970, when the recording began; 0: not known */
	uint32_t version;	 /* as it was read; it is written as the present one */
	struct drive_look drive; /* as it was when the map was opened or, CLEAN, closed */
};

uint64_t stat_mtime_ns(const struct stat *found);
/* path NULL: recorded elsewhere. */
int drive_look(struct drive_look *out, const char *path, uint64_t size_bytes, struct error *err);
bool drive_is_same(const struct drive_look *one, const struct drive_look *other, bool same_boot);
/* All zeros, which no boot has, if it is unknown. */
void read_boot_id(uint8_t out[MAP_ID_SIZE]);

/* Writes the copy of the header that does not count now. */
void map_header_put(uint8_t page[MAP_HEADER_SIZE], const struct map_header *header);
/* 0, or ERR_DAMAGED (a map, but damaged), ERR_UNSUPPORTED, ERR_USAGE (not a map). path is for
 * messages. */
int map_header_get(struct map_header *out, const uint8_t page[MAP_HEADER_SIZE], const char *path,
		   struct error *err);

struct map_times {
	uint64_t last_ns; /* the time of the last mark, as stored in the map */
	uint64_t map_ns;  /* when the map's file last changed */
};

/* The drive as it is now. */
enum map_trust map_judge(const struct map_header *header, const struct drive_look *now,
			 const uint8_t boot_id[MAP_ID_SIZE], const struct map_times *times);

/* ---- map_store.c ----
 *
 * The file of a map: sections 1, 3 and 5 of spec/map.md.
 */

#define MAP_PAGE	   4096u
#define MAP_GROUP_CLUSTERS 2048u /* their marks fill a page */
#define MAP_TABLES	   2u	 /* of checkpoints */
#define MAP_TABLE_SIZE	   196608u
#define MAP_TABLE_N_AT	   24u /* in a table: 4 bytes */
#define MAP_TABLE_HEAD	   64u
#define MAP_TABLE_LINE	   192u

struct map_store;

/* The map in memory, laid out as in the file; borrowed, and zeros until the store is open. */
struct map_memory {
	uint8_t *bytes;
	uint64_t size_bytes;
	uint64_t n_groups, n_group_pages;
	uint64_t tables_at; /* MAP_TABLES copies of MAP_TABLE_SIZE bytes, to the end */
};

/* map_read.c: the marks and the tables, into memory. False: it is damaged. *sum: of all marks. */
bool map_read(int fd, const struct map_memory *memory, const struct map_header *header,
	      uint64_t *sum);

/* Opens or creates the file, and reads it into memory if it counts. When it returns, the file says
 * durably that the map is open. */
int map_store_open(struct map_store **out, const char *path, const char *drive_path,
		   uint64_t drive_bytes, const struct map_memory *memory, struct error *err);
/* The drive is at that path now. */
int map_store_move(struct map_store *store, const char *drive_path, struct error *err);
/* Writes all of it, marks the map as closed, and frees the store. An error: the file does not count
 * any more. */
int map_store_close(struct map_store *store, struct error *err);

enum map_trust map_store_trust(const struct map_store *store);
/* The id of a map that did not count, and in whose place this one is; 0: there was none. */
uint64_t map_store_lost_id(const struct map_store *store);
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
/* When the recording began is known now. */
void map_store_began_locked(struct map_store *store, uint64_t began_ns);
/* A new map; the memory is already all zeros. */
void map_store_restart_locked(struct map_store *store, uint64_t id);

/* n bytes of memory at offset, which belong to a table of checkpoints, have changed: they are on
 * disk then. Without the lock; may wait. Fails as the marks do, and the file does not count then.
 */
void map_store_table(struct map_store *store, uint64_t offset, uint64_t n);
/* Checks the disk. Call it without the lock; may wait; any thread. */
void map_store_sync(struct map_store *store);
/* Makes the file no longer count. */
void map_store_drop(struct map_store *store);
/* 0 while the file counts. Any thread. */
int map_store_failure(const struct map_store *store, struct error *err);

/* ---- map_look.c ----
 *
 * The file of a map that nobody uses.
 */

struct map_look {
	const char *path; /* borrowed */
	int fd;		  /* owned, and locked */
	struct map_header header;
	struct map_memory memory; /* set by the caller, before the functions after the open */
};

/* For writing it must have been closed in order. */
int map_look_open(struct map_look *out, const char *path, bool writable, struct error *err);
int map_look_read(const struct map_look *file, struct error *err);
int map_look_write_tables(const struct map_look *file, struct error *err);
void map_look_close(struct map_look *file);

/* ---- checkpoints.c ----
 *
 * The table of checkpoints: section 4 of spec/map.md.
 */

/* tables: those in the map's memory, borrowed. */
int checkpoints_new(struct checkpoints **out, uint8_t *tables, uint64_t id, uint16_t current,
		    struct error *err);
/* Where changes are written; the tables lie at that offset of the store's memory. */
void checkpoints_keep(struct checkpoints *checkpoints, struct map_store *store, uint64_t offset);
void checkpoints_free(struct checkpoints *checkpoints); /* NULL-safe */
/* The map began anew: there are none. Any thread. */
void checkpoints_void(struct checkpoints *checkpoints, uint64_t id);

#endif
