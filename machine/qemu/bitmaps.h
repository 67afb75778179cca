/*
 * Dirty bitmaps in QEMU. Those by which a drive is tracked are called vmabak-MAP-GENERATION: MAP
 * are the sixteen hexadecimal digits of the map's id, and what the bitmap names was written in that
 * generation of the map or was written later. A second one, vmabak-MAP-end, does not record: it has
 * the drive's last cluster alone, which it loses when the drive is made smaller.
 *
 * Those of a run, and gone with it, are called as its nodes (names.h).
 */
#ifndef MACHINE_QEMU_BITMAPS_H
#define MACHINE_QEMU_BITMAPS_H

#include "base/error.h"

#include <stdint.h>

#define BITMAP_NAME_SIZE 32u

struct json_t;
struct qmp;

struct bitmap {
	bool there;
	bool sound; /* QEMU can use it, and a bit is for a cluster */
	bool recording;
	bool persistent;
	uint64_t count_bytes; /* of the drive that it names */
};

char *bitmap_name(char out[BITMAP_NAME_SIZE], uint64_t map, uint16_t generation);
char *bitmap_end_name(char out[BITMAP_NAME_SIZE], uint64_t map);
/* What the names of all bitmaps of a map begin with. */
char *bitmap_map_name(char out[BITMAP_NAME_SIZE], uint64_t map);

/* The bitmap of that name that a node has. nodes: what nodes_query gave. */
struct bitmap bitmap_find(const struct json_t *nodes, const char *node, const char *name);

/* The name of the i-th bitmap of a map that a node has and that can be used; NULL: there is none.
 * Borrowed. */
const char *bitmap_of_map(const struct json_t *nodes, const char *node, uint64_t map, unsigned i);

/* The i-th bitmap that a node has of any map, whether it can be used or not, and the map's id. The
 * name is borrowed. NULL: there is none. */
const char *bitmap_of_any_map(const struct json_t *nodes, const char *node, unsigned i,
			      uint64_t *map);

/* Posts commands that remove the bitmaps of a map from a node, but for three names. */
int bitmaps_remove_map(struct qmp *qmp, const struct json_t *nodes, const char *node, uint64_t map,
		       const char *const keep[3], struct error *err);
/* The same for all of them, on every node, and waits. Returns how many. */
int bitmaps_remove_whole_map(struct qmp *qmp, const struct json_t *nodes, const char *map_name,
			     struct error *err);
/* Posts a command that removes the bitmap of that name. */
int bitmap_remove(struct qmp *qmp, const char *node, const char *name, struct error *err);
/* Removes the bitmaps of ours that cannot be used, as QEMU was killed: all that is left to do with
 * them, and they forbid to resize the drive. *n: how many. */
int bitmaps_remove_broken(struct qmp *qmp, const struct json_t *nodes, unsigned *n,
			  struct error *err);
/* Posts commands that remove the bitmaps of a run, and adds how many to *n. */
int bitmaps_remove_run(struct qmp *qmp, const struct json_t *nodes, const char *id, unsigned *n,
		       struct error *err);

#endif
