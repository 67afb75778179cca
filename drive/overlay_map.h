/*
 * Which blocks of a drive with an overlay are there: a bit for each, in memory, and in the file if
 * they are kept (spec/overlay.md). Private to drive/.
 */
#ifndef DRIVE_OVERLAY_MAP_H
#define DRIVE_OVERLAY_MAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct overlay_map {
	int fd;			      /* borrowed */
	uint64_t bits_at, present_at; /* present_at 0: none */
	bool kept;
	uint64_t n_blocks, n_pages;
	pthread_mutex_t lock; /* guards what follows; held for moments, but for the first bit of a
				 page, which takes its room on the disk */
	uint64_t *bits;	      /* owned: whole pages */
	bool *changed;	      /* owned: of each page, since it was taken by a flush */
	bool *has_room;	      /* owned: of each page, in the file */
};

struct overlay_place;

/* Reads the bits if they are kept. Close *out even after an error. 0 or an errno value. */
int overlay_map_open(struct overlay_map *out, uint64_t size_bytes,
		     const struct overlay_place *place);
void overlay_map_close(struct overlay_map *map);

/* How many blocks from this one on, at most n_max, are here, or are not. */
uint64_t overlay_map_run(struct overlay_map *map, uint64_t block, uint64_t n_max, bool *here);
/* Before the data of these blocks is written: there is room for their bits. *n_new: how many that
 * are not here yet will be. 0 or an errno value. */
int overlay_map_prepare(struct overlay_map *map, uint64_t block, uint64_t end, uint64_t *n_new);
/* Once their data is in the file. 0 or an errno value. */
int overlay_map_set(struct overlay_map *map, uint64_t block, uint64_t end);

/* The data is made durable, then the bits as they were before, which count as unchanged from then
 * on. 0 or an errno value: an error of write-back that was told once is not told again. */
int overlay_map_flush(struct overlay_map *map);

#endif
