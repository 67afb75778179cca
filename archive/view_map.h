/*
 * Which extent of which archive of a chain holds each cluster of the newest one's drives. Private
 * to archive/.
 */
#ifndef ARCHIVE_VIEW_MAP_H
#define ARCHIVE_VIEW_MAP_H

#include "archive/view_links.h"

struct view_held;

struct view_extent {
	uint64_t at;		/* position in its archive */
	struct view_held *held; /* what view_cache.c has of it; NULL: nothing */
	uint32_t link;
	bool told; /* that it is damaged */
};

/* It reaches to the next run, or to the end of the drive. */
struct view_run {
	uint64_t cluster;
	uint32_t extent;
};

struct view_drive {
	struct view_run *runs; /* owned; ascending: they cover the drive */
	uint64_t n_runs, room;
};

struct view_map {
	struct view_extent *extents; /* owned */
	uint32_t n_extents, extents_room;
	struct view_drive *drives; /* owned: of the newest archive */
	uint32_t n_drives;
};

/* Goes through all archives, the newest first. ERR_INCOMPLETE: a cluster is in none. Free *out even
 * after an error. */
int view_map_make(struct view_map *out, struct view_links *links, struct error *err);
void view_map_free(struct view_map *map);

/* The number of the run that has the cluster. */
uint64_t view_map_find(const struct view_drive *drive, uint64_t cluster);

#endif
