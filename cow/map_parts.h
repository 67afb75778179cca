/*
 * A map in a file: spec/map.md. Private to cow/.
 */
#ifndef COW_MAP_PARTS_H
#define COW_MAP_PARTS_H

#include "cow/checkpoints.h"
#include "cow/generation.h"

#include <pthread.h>
#include <stdatomic.h>
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
	uint64_t ctime_ns; /* of a file, data or inode; not kept in the header */
	uint64_t n_writes; /* of a device: sectors written or discarded since it appeared */
};

struct map_header {
	uint32_t state;	   /* enum map_state */
	uint64_t sequence; /* of the two headers, the one with the higher number counts */
	uint64_t id;
	uint8_t boot_id[MAP_ID_SIZE];
	uint16_t current;
	uint64_t began_ns; /* since 1970, when the recording began; 0: not known */
	bool logs;	   /* the log tells which regions are hot */
	uint32_t version;  /* as it was read; it is written as the present one */
	/* As it was when the map was opened or, CLEAN, closed; of an open one the time of change is
	 * one that was on disk. */
	struct drive_look drive;
};

uint64_t stat_mtime_ns(const struct stat *found);
/* path NULL: recorded elsewhere. */
int drive_look(struct drive_look *out, const char *path, uint64_t size_bytes, struct error *err);
bool drive_is_same(const struct drive_look *one, const struct drive_look *other, bool same_boot);

/* Writes the copy of the header that does not count now. */
void map_header_put(uint8_t page[MAP_HEADER_SIZE], const struct map_header *header);
/* 0, or ERR_DAMAGED (a map, but damaged), ERR_UNSUPPORTED, ERR_USAGE (not a map). path is for
 * messages. */
int map_header_get(struct map_header *out, const uint8_t page[MAP_HEADER_SIZE], const char *path,
		   struct error *err);

#define MAP_LOG_AGE_NS UINT64_C(20000000000) /* while guests write, the log is not older */

struct map_times {
	uint64_t last_ns; /* the time of the last mark, as stored in the map */
	uint64_t log_ns;  /* when the log was last written; 0: never */
	uint64_t map_ns;  /* when the map's file last changed */
	bool lost;	  /* the drive says that the log does not count */
};

/* The drive as it is now. */
enum map_trust map_judge(const struct map_header *header, const struct drive_look *now,
			 const uint8_t boot_id[MAP_ID_SIZE], const struct map_times *times);

/* ---- map_store.c ----
 *
 * The file of a map: sections 1, 3 and 5 of spec/map.md.
 */

#define MAP_PAGE	    4096u
#define MAP_GROUP_CLUSTERS  2048u /* their marks fill a page */
#define MAP_REGION_CLUSTERS 256u
#define MAP_LOG_REGIONS	    3904u /* in a sector of the log */
#define MAP_TABLES	    2u	  /* of checkpoints */
#define MAP_TABLE_SIZE	    196608u
#define MAP_TABLE_N_AT	    24u /* in a table: 4 bytes */
#define MAP_TABLE_HEAD	    64u
#define MAP_TABLE_LINE	    192u

#define FAILED_BY_CUT	(-1)
#define FAILED_BY_DRIVE (-2)

struct map_log;

/* The map in memory, laid out as in the file; borrowed, and zeros until the store is open. */
struct map_memory {
	uint8_t *bytes;
	uint64_t size_bytes;
	uint64_t n_groups, n_group_pages;
	uint64_t tables_at;	    /* MAP_TABLES copies of MAP_TABLE_SIZE bytes */
	uint64_t log_at, n_regions; /* to the end */
};

struct map_store {
	struct map_memory memory;
	struct map_header header; /* as last written */
	enum map_trust trust;	  /* at the open */
	uint64_t lost_id;	  /* of the map that did not count then, or 0 */
	int fd;
	bool has_name;		 /* it has one, and must keep it */
	char *path, *drive_path; /* owned */
	atomic_int failed;	 /* errno or FAILED_BY_: the file does not count any more */
	pthread_mutex_t lock;	 /* guards what follows, the file, and stores to the memory */
	uint64_t sum;		 /* of all marks */
	/* These two are read without the lock, too: the time of the last mark, as last written; odd
	 * while marks are in the memory, and not all in the file. */
	_Atomic uint64_t touched_ns, n_changes;
	uint64_t looked_ns;  /* whether the file is whole */
	uint64_t synced_ns;  /* a time of change of the drive that was on disk at the open; or 0 */
	struct map_log *log; /* owned; NULL: which regions are hot is not told */
};

/* map_read.c: the marks and the tables, into memory. False: it is damaged. *sum: of all marks.
 * recover: the machine went down; hot regions get the current generation, and what the sum was does
 * not count. */
bool map_read(int fd, const struct map_memory *memory, const struct map_header *header,
	      bool recover, uint64_t *sum);

/* map_open.c. Opens or creates the file, and reads it into memory if it counts. When it returns,
 * the file says durably that the map is open. */
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

/* These two without the lock. If both are the same even number before and after marks were looked
 * at, they are in the file. */
uint64_t map_store_changes(const struct map_store *store);
/* Whether a cluster that is already marked is written to so soon after another one that nothing of
 * it is to be recorded: map_store_touch_locked would do nothing. */
bool map_store_is_touched(const struct map_store *store);
/* Held while the memory changes and the change is written. */
void map_store_lock(struct map_store *store);
void map_store_unlock(struct map_store *store);

/* Call all of these with the lock held. They never fail: a file that cannot be written just does
 * not count any more, and the memory does. */

/* Before marks are raised: by how much in total; and again with 0 when that is done. */
void map_store_promise_locked(struct map_store *store, uint64_t rise);
/* Marks are raised in the memory, then in the file, between these two. */
void map_store_begin_marks_locked(struct map_store *store);
void map_store_end_marks_locked(struct map_store *store);
/* The page of memory at offset has changed. */
void map_store_page_locked(struct map_store *store, uint64_t offset);
/* Before marks of these clusters rise: their regions are hot then. It may wait for the disk,
 * without the lock meanwhile. False: it would wait, and was not to. */
bool map_store_heat_locked(struct map_store *store, uint64_t cluster, uint64_t end, bool now);
/* Soon it will be asked for these, too: whoever waits does so for them as well. */
void map_store_want_locked(struct map_store *store, uint64_t cluster, uint64_t end);
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
/* All that was written to the drive, and the generation, are on disk. 0, or the errno of a drive
 * that cannot be synced. May wait; any thread. */
int map_store_settle(struct map_store *store);
/* What keeps the log short and new, until map_store_stop. */
void map_store_clean(struct map_store *store);
void map_store_stop(struct map_store *store);
/* 0 while the file counts. Any thread. */
int map_store_failure(const struct map_store *store, struct error *err);

/* For map_open.c. */
int map_store_write_page(const struct map_store *store, uint64_t offset);
bool map_store_is_whole(const struct map_store *store);
void map_store_put_header(struct map_store *store, uint32_t state);
void map_store_put_sums(struct map_store *store, uint64_t rise);

/* ---- map_log.c ----
 *
 * The log of hot regions: section 6 of spec/map.md. With _locked: the store's lock is held, and
 * given up while they wait. Those that write return 0 or errno.
 */

struct map_log_place {
	int fd, drive_fd;	/* of the map, borrowed; of the drive's file, taken over */
	pthread_mutex_t *lock;	/* borrowed */
	uint8_t *bytes;		/* the log in memory, borrowed */
	uint64_t at, n_regions; /* in the file */
	uint64_t id;
};

enum map_work { MAP_WORK_NONE, MAP_WORK_CLEAN, MAP_WORK_RENEW };

/* Its size in the file. */
uint64_t map_log_bytes(uint64_t n_regions);
/* Of a log that was read: when one of its sectors of that map was last written, 0 if none was; and
 * whether a region was hot. */
uint64_t map_log_newest(const uint8_t *bytes, uint64_t n_bytes, uint64_t id);
bool map_log_says_hot(const uint8_t *bytes, uint64_t id, uint64_t region);
/* Whether the drive says that the log of that map does not count. *possible: it could say so. */
bool map_log_was_lost(int drive_fd, uint64_t id, bool *possible);

int map_log_new(struct map_log **out, const struct map_log_place *place, struct error *err);
void map_log_free(struct map_log *log); /* NULL-safe */
/* No region is hot; all of it is written, and not synced. */
int map_log_begin(struct map_log *log);
int map_log_rename_locked(struct map_log *log, uint64_t id);

bool map_log_is_hot_locked(const struct map_log *log, uint64_t first, uint64_t end);
/* With the next that are made hot these are, too. */
void map_log_want_locked(struct map_log *log, uint64_t first, uint64_t end);
/* Makes them hot, or waits until somebody else has tried: ask again. */
int map_log_heat_locked(struct map_log *log, uint64_t first, uint64_t end);
/* Marks rise in these regions, which are hot. */
void map_log_rise_locked(struct map_log *log, uint64_t first, uint64_t end);
/* The log cannot be written any more: the drive is told so, if that can be done. */
void map_log_lose_locked(struct map_log *log);
/* It is of another drive from here on, whose descriptor is taken over; -1: it tells nothing of
 * that.
 */
void map_log_move_locked(struct map_log *log, int drive_fd);
/* The drive does not say so any more. */
void map_log_find(const struct map_log *log);

/* Notes which regions are hot; and, when the map was synced after that, makes those cold in which
 * no mark has risen since. */
void map_log_note_locked(struct map_log *log);
int map_log_clear_locked(struct map_log *log);
/* Marks that are there already are written to, at that time. */
void map_log_touch_locked(struct map_log *log, uint64_t now_ns);
int map_log_renew_locked(struct map_log *log);
/* Waits for something to be done. NONE: nothing more will be. */
enum map_work map_log_await_locked(struct map_log *log);
void map_log_stop_locked(struct map_log *log);
int map_log_drive(const struct map_log *log);

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
