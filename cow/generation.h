/*
 * Generation maps: for each cluster of a drive, the number of the generation in which it was last
 * written. "Changed since checkpoint G" is "generation > G", for any number of checkpoints at once;
 * deleting a checkpoint moves no data.
 *
 * A map lives in memory, and may have a copy in a file beside the drive. Marks in the file survive
 * the death of the process by any signal, and a log of the regions whose marks may be in memory
 * only makes up for those that a crash of the machine takes away. Where that cannot be, the next
 * open detects the crash, does not trust the map and begins a new one. Whatever happens to the
 * file, the map in memory is right while the process lives, and no guest write fails because of it.
 * Source: spec/map.md.
 */
#ifndef COW_GENERATION_H
#define COW_GENERATION_H

#include "base/error.h"

struct checkpoints;
struct generation;

#define GENERATION_MAX 65535u

/* Why the marks of a map count, or why it begins anew. */
enum map_trust {
	MAP_NEW,	   /* just created: earlier writes are unknown */
	MAP_CLEAN,	   /* closed properly, and the drive has not changed since */
	MAP_KILLED,	   /* the process died; the file still has every mark */
	MAP_RECOVERED,	   /* the machine crashed; at most, the log names too much */
	MAP_MACHINE_DIED,  /* the machine crashed while it was open: begun anew */
	MAP_DRIVE_CHANGED, /* another program wrote to the drive meanwhile: begun anew */
	MAP_OTHER_DRIVE,   /* it belongs to another drive, or another size of it: begun anew */
	MAP_DAMAGED,	   /* it is damaged, was cut, or has lost marks: begun anew */
	MAP_UNSURE,	   /* cannot tell whether the drive was written to: begun anew */
	MAP_FILE_FAILED,   /* its file has failed since it was opened: only the memory counts */
};

/* In memory. */
int generation_new(struct generation **out, uint64_t size_bytes, struct error *err);
/* In the file at path, which is created if missing. drive_path identifies the drive (device and
 * inode, size, time of change); NULL: its writes are recorded elsewhere, and the map only keeps
 * what its user marks, who knows whether that is all. Only one process can open a map: ERR_LOCKED.
 * A file that is not a map is never overwritten, but is an error. */
int generation_open(struct generation **out, const char *path, const char *drive_path,
		    uint64_t size_bytes, struct error *err);
/* What the file of a map that is not in use holds, to be asked for only; nothing is judged, and the
 * drive is not looked at. size_bytes: of the drive. ERR_LOCKED: it is in use. */
int generation_look(struct generation **out, const char *path, uint64_t *size_bytes,
		    struct error *err);
/* Writes its checkpoints back, which may have changed. ERR_USAGE: the map was not closed in order.
 */
int generation_save_checkpoints(const struct generation *map, const char *path, struct error *err);
/* Closes properly; flush the drive before. An error: the file could not be written, and does not
 * count. NULL-safe. */
int generation_close(struct generation *map, struct error *err);

/* The drive's content lies elsewhere from here on; drive_path as in generation_open. */
int generation_move(struct generation *map, const char *drive_path, struct error *err);

/* Brings to the disk what a parent needs after a crash of the machine: all writes that the drive
 * has had, and that generations have ended. An archive of such a generation is complete only after
 * it. Waits for the disk; any thread. */
void generation_settle(struct generation *map);
/* Finds out whether the file can still be written. Waits for the disk; any thread. */
void generation_sync(struct generation *map);
/* The drive failed to flush: clusters may have gone back to older data, whatever number they have.
 * So for instants until now everything counts as changed, and the file must not outlive this
 * process. Any thread. */
void generation_drop(struct generation *map);
/* 0, or the error that made the file no longer count. Any thread. */
int generation_failure(const struct generation *map, struct error *err);

enum map_trust generation_trust(const struct generation *map);
const char *map_trust_text(enum map_trust trust);
uint64_t generation_n_clusters(const struct generation *map);

/* Random, and new each time a map begins anew: generation numbers mean nothing without it. */
uint64_t generation_id(const struct generation *map);

/* The id that the file had, if its map did not count when it was opened; 0: it had none. */
uint64_t generation_lost_id(const struct generation *map);

/* The generation that writes are recorded under now, from 1. "Changed since 0": since the map
 * began. */
uint16_t generation_current(const struct generation *map);
/* Ends the current generation and returns its number; no write may be in flight. When the numbers
 * run out the map begins anew, with a new id, and 0 is returned. */
uint16_t generation_advance(struct generation *map);

/* What the instant is called at which this generation of this map ends: "map:ID:GENERATION". */
#define GENERATION_TOKEN_SIZE 32u
char *generation_token(char out[GENERATION_TOKEN_SIZE], uint64_t id, uint16_t g);
/* False: the text is no such name. */
bool generation_parse_token(const char *text, uint64_t *id, uint16_t *g);

/* Begins anew, with a new id: what is marked does not tell all. */
void generation_restart(struct generation *map);

/* Call it before the write can reach the drive. Any thread. In memory it takes one store a cluster
 * and no lock; with a file, new marks take a write of three or four pages. */
void generation_mark(struct generation *map, uint64_t cluster, uint64_t n_clusters);
/* The same without waiting for the disk. False: it has to wait; not all is marked. */
bool generation_mark_now(struct generation *map, uint64_t cluster, uint64_t n_clusters);

/* False: what changed since generation g ended is not known, and everything counts as changed. Any
 * thread. */
bool generation_is_sure(const struct generation *map, uint16_t g);
/* Whether the cluster was written after generation g ended, and for how many clusters from there on
 * that holds: at least 1, not always the most possible. Any thread. */
bool generation_changed(const struct generation *map, uint16_t g, uint64_t cluster,
			uint64_t *n_clusters);
/* How many clusters were written after generation g ended, and how many bytes of the drive they
 * have. Takes microseconds, whatever the size of the drive. */
uint64_t generation_count(const struct generation *map, uint16_t g);
uint64_t generation_changed_bytes(const struct generation *map, uint16_t g);

/* ---- what another map tells of the same drive (cow/arrival.h) ---- */

/* Marks clusters as written in the generation after g, unless they were written later: bit i of
 * byte k is that of cluster + 8 k + i. cluster is a multiple of 8. Any thread. */
void generation_raise(struct generation *map, uint16_t g, uint64_t cluster, const uint8_t *bits,
		      uint64_t n_clusters);
/* The other way: which were written after generation g ended. */
void generation_bits(const struct generation *map, uint16_t g, uint64_t cluster, uint8_t *bits,
		     uint64_t n_clusters);
/* Since when every write is in the map: nanoseconds since 1970; 0: not known. Of a map whose writes
 * are recorded elsewhere, whoever knows it says so. */
uint64_t generation_began_ns(const struct generation *map);
void generation_begin(struct generation *map, uint64_t began_ns);

/* Of generation_look: whether writes are recorded elsewhere, so that the latest are not in it. */
bool generation_is_of_others(const struct generation *map);
/* Of generation_look: whether it was not closed in order. After a power cut marks may be missing in
 * the file, which is judged, with its log and its drive, when it is opened. */
bool generation_was_left_open(const struct generation *map);

/* Its checkpoints, which end with it. */
struct checkpoints *generation_checkpoints(const struct generation *map);

#endif
