/*
 * Generation maps: for each cluster of a drive the number of the generation in which it was last
 * written. "Changed since checkpoint G" is "generation > G", for any number of checkpoints at once;
 * to forget a checkpoint moves nothing.
 *
 * A map lives in memory, and a file beside the drive may have a copy of it: what is marked there
 * survives the end of the process by any signal. What it does not survive is the end of the
 * machine, and it says so when it is opened next: a map is then not trusted and begins anew.
 * Whatever happens to the file, the map in memory is right as long as the process lives, and no
 * write of a guest fails for it. Source: spec/map.md.
 */
#ifndef COW_GENERATION_H
#define COW_GENERATION_H

#include "base/error.h"

struct generation;

#define GENERATION_MAX 65535u

/* Whether what is in the map counts. */
enum map_trust {
	MAP_NEW,	   /* it was made just now: before that nothing is known */
	MAP_CLEAN,	   /* closed in order, and the drive was not touched since */
	MAP_KILLED,	   /* the process died; complete all the same, for the file has all */
	MAP_MACHINE_DIED,  /* the machine went down with it open: begun anew */
	MAP_DRIVE_CHANGED, /* somebody wrote to the drive in between: begun anew */
	MAP_OTHER_DRIVE,   /* it belongs to another drive, or to one of another size: begun anew */
	MAP_DAMAGED,	   /* it is damaged, was cut, or has lost marks: begun anew */
	MAP_UNSURE,	   /* nothing tells whether the drive was written to: begun anew */
	MAP_FILE_FAILED,   /* its file has failed since it was opened: only the memory counts */
};

/* In memory. */
int generation_new(struct generation **out, uint64_t size_bytes, struct error *err);
/* In the file at path, which is made if there is none. drive_path tells whose it is (device and
 * inode, size, time of change). Locked against a second user: ERR_LOCKED. A file that is no map is
 * never overwritten: an error. */
int generation_open(struct generation **out, const char *path, const char *drive_path,
		    uint64_t size_bytes, struct error *err);
/* Closes in order: the drive has been flushed by now. An error: the file could not be written, and
 * does not count. NULL-safe. */
int generation_close(struct generation *map, struct error *err);

/* Finds out whether the file still takes what is written to it. Waits for the disk; any thread. */
void generation_sync(struct generation *map);
/* The drive failed to flush: older data may be back in clusters that were written before the last
 * backup, so the file must not outlive this process. Any thread. */
void generation_drop(struct generation *map);
/* 0, or why the file does not count any more. Any thread. */
int generation_failure(const struct generation *map, struct error *err);

enum map_trust generation_trust(const struct generation *map);
const char *map_trust_text(enum map_trust trust);
uint64_t generation_n_clusters(const struct generation *map);

/* Random, another one each time a map begins anew: the numbers of generations mean something
 * together with it alone. */
uint64_t generation_id(const struct generation *map);

/* The one that writes are recorded under now, from 1. "Changed since 0": since the map began. */
uint16_t generation_current(const struct generation *map);
/* Ends the current generation and returns its number; no write may be in flight. When the numbers
 * run out the map begins anew: 0 is returned, the id is another one. */
uint16_t generation_advance(struct generation *map);

/* Before the write can reach the drive. Any thread. In memory a store a cluster, without a lock;
 * with a file a write of three or four pages for marks that are new. */
void generation_mark(struct generation *map, uint64_t cluster, uint64_t n_clusters);

/* From cluster on: whether it was written after generation g ended, and for how many clusters that
 * holds: at least 1, and not always as many as there are. Any thread. */
bool generation_changed(const struct generation *map, uint16_t g, uint64_t cluster,
			uint64_t *n_clusters);
/* How many clusters were. */
uint64_t generation_count(const struct generation *map, uint16_t g);

#endif
