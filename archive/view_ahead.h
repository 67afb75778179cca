/*
 * What will be read next: streams of reads that go on where the last one ended, and threads that
 * load the extents before they are asked for. Private to archive/.
 */
#ifndef ARCHIVE_VIEW_AHEAD_H
#define ARCHIVE_VIEW_AHEAD_H

#include "archive/view_cache.h"

#define AHEAD_STREAMS 16u
#define AHEAD_QUEUE   64u
#define AHEAD_THREADS 16u

struct ahead_stream {
	uint64_t begin; /* where it began */
	uint32_t drive;
	unsigned n;	    /* reads that went on so */
	uint64_t next;	    /* offset */
	uint64_t loaded_to; /* cluster: up to there it was queued */
	uint64_t used;	    /* when, by a count */
};

struct view_ahead {
	struct view_cache *cache;     /* borrowed */
	const struct view_map *map;   /* borrowed */
	const struct archive *newest; /* borrowed */
	unsigned n_threads;
	uint64_t reach;	      /* clusters */
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	struct ahead_stream streams[AHEAD_STREAMS];
	uint64_t count;
	uint32_t queue[AHEAD_QUEUE]; /* extents */
	unsigned first, n_queued;
	bool ends;
	pthread_t threads[AHEAD_THREADS];
	unsigned n_started;
};

/* Starts no thread before something is read in order. reach_bytes: how far ahead. */
void view_ahead_open(struct view_ahead *out, struct view_cache *cache, const struct archive *newest,
		     unsigned n_threads, uint64_t reach_bytes);
void view_ahead_close(struct view_ahead *ahead);
/* Something was read there. Any thread. */
void view_ahead_note(struct view_ahead *ahead, uint32_t drive, uint64_t offset, uint64_t n);

#endif
