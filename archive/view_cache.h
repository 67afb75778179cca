/*
 * Extents of a view: headers, and payloads that are decoded, checked and kept while there is room.
 * Private to archive/.
 *
 * Who waits for whom: a thread that loads an extent holds a bench and no lock; others that want the
 * same extent wait for it, and those without a bench for one. Nobody waits while it holds one.
 */
#ifndef ARCHIVE_VIEW_CACHE_H
#define ARCHIVE_VIEW_CACHE_H

#include "archive/view_counts.h"
#include "archive/view_map.h"
#include "archive/view_room.h"

struct view_bench;
struct watcher;

#define VIEW_WAITS 64u

/* A slot of an extent, of a drive of the newest archive. */
struct view_slot {
	uint64_t cluster, n_clusters;
	uint32_t drive;
	uint32_t blocks_at; /* where its stored blocks are in the payload, in bytes */
	uint16_t mask;	    /* 0: zeros */
	bool bad;	    /* its checksum is wrong */
};

struct view_held {
	uint32_t extent;
	unsigned n_users;
	bool loading;
	bool has_header, has_blocks;	/* or it is known that they are damaged: */
	int header_error, blocks_error; /* errno; 0: they are not */
	struct view_slot *slots;	/* owned; by drive and cluster */
	uint32_t n_slots;
	uint8_t *blocks;		 /* owned; decoded */
	size_t room;			 /* bytes that were allocated for them */
	size_t cost;			 /* bytes */
	struct view_held *newer, *older; /* of use */
};

struct view_cache {
	struct view_links *links; /* borrowed, as these */
	struct view_map *map;
	const struct watcher *watcher;
	size_t most;	      /* bytes */
	pthread_mutex_t lock; /* guards all below, and extents[].held and .told of the map */
	pthread_cond_t free_bench;
	pthread_cond_t loaded[VIEW_WAITS]; /* an extent of this number modulo VIEW_WAITS was */
	struct view_held *newest, *oldest; /* of use */
	size_t cost;
	struct view_bench *benches; /* owned: those that are free */
	struct view_counts counts;
	pthread_mutex_t telling; /* one thread at a time tells the watcher; no other lock is held */
	struct view_room room; /* has a lock of its own */
};

int view_cache_open(struct view_cache *out, struct view_links *links, struct view_map *map,
		    uint64_t most_bytes, const struct watcher *watcher, struct error *err);
/* When nobody uses it. */
void view_cache_close(struct view_cache *cache);

enum view_want {
	VIEW_HEADER,
	VIEW_BLOCKS,
	VIEW_NOW = 2, /* or'ed: EAGAIN rather than load or wait */
};

/* The extent with its slots, and with its blocks if wanted; it stays until view_cache_put. 0 or an
 * errno value: then it cannot be read, and *out is not set. Blocks that are damaged do not fail a
 * wish for the header. */
int view_cache_get(struct view_cache *cache, uint32_t extent, unsigned want,
		   struct view_held **out);
void view_cache_put(struct view_cache *cache, struct view_held *held);
/* NULL: the extent does not have it. */
const struct view_slot *view_held_find(const struct view_held *held, uint32_t drive,
				       uint64_t cluster);
/* Tells, once, that an extent does not have what the index says. */
void view_cache_tell_lacking(struct view_cache *cache, uint32_t extent);
/* Whether it would be loaded, for that wish. */
bool view_cache_lacks(struct view_cache *cache, uint32_t extent, unsigned want);

#endif
