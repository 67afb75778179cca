#include "archive/view.h"

#include "archive/view_ahead.h"
#include "archive/view_cache.h"
#include "archive/view_fill.h"
#include "archive/view_links.h"
#include "archive/view_map.h"
#include "base/bytes.h"
#include "base/human.h"
#include "base/watcher.h"
#include "reader/input/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REACH_MAX   (16u << 20) /* bytes that are read ahead */
#define STATUS_RUNS 256u	/* that one answer looks at */

struct view {
	struct view_links links;
	struct view_fill *fill; /* owned; NULL, or instead of all below */
	struct view_map map;
	struct view_cache cache;
	struct view_ahead ahead;
	bool has_links, has_cache, has_ahead;
};

static int open_fill(struct view *view, const char *path, const struct watcher *watcher,
		     struct error *err)
{
	struct opened_archive *opened = &view->links.links[0].opened;
	char size[HUMAN_SIZE];

	watcher_note(watcher,
		     "%s: can only be read from its beginning: what is read is kept in %s, which "
		     "may grow to %s, and what comes late in the archive is waited for",
		     opened->name, path, human_size(size, archive_drive_bytes(opened->archive)));
	return view_fill_open(&view->fill, opened, path, watcher, err);
}

static int open_all(struct view *view, const struct view_options *options,
		    const struct watcher *watcher, struct error *err)
{
	uint64_t most = options->cache_bytes != 0 ? options->cache_bytes : VIEW_CACHE_DEFAULT;

	view->has_links = true;
	TRY(view_links_open(&view->links, &options->archives, &options->folders,
			    options->cache_file != NULL, err));
	if (input_size(view->links.links[0].opened.input) == 0)
		return open_fill(view, options->cache_file, watcher, err);
	TRY(view_map_make(&view->map, &view->links, err));
	view->has_cache = true;
	TRY(view_cache_open(&view->cache, &view->links, &view->map, most, watcher, err));
	view_ahead_open(&view->ahead, &view->cache, view_archive(view),
			threads_wanted(options->n_threads), least(most / 4, REACH_MAX));
	view->has_ahead = true;
	return 0;
}

int view_open(struct view **out, const struct view_options *options, const struct watcher *watcher,
	      struct error *err)
{
	struct view *view = calloc(1, sizeof(*view));
	int code;

	if (view == NULL)
		return fail_memory(err);
	code = open_all(view, options, watcher, err);
	if (code == 0)
		*out = view;
	else
		view_close(view);
	return code;
}

void view_close(struct view *view)
{
	if (view == NULL)
		return;
	view_fill_close(view->fill);
	if (view->has_ahead)
		view_ahead_close(&view->ahead);
	if (view->has_cache)
		view_cache_close(&view->cache);
	view_map_free(&view->map);
	if (view->has_links)
		view_links_close(&view->links);
	free(view);
}

const struct archive *view_archive(const struct view *view)
{
	return view->links.links[0].opened.archive;
}

const char *view_name(const struct view *view)
{
	return view->links.name;
}

unsigned view_n_archives(const struct view *view)
{
	return view->links.n;
}

struct view_counts view_counts(struct view *view)
{
	struct view_counts counts = {0};

	if (view->fill != NULL)
		return counts;
	pthread_mutex_lock(&view->cache.lock);
	counts = view->cache.counts;
	counts.cache_bytes = view->cache.cost;
	pthread_mutex_unlock(&view->cache.lock);
	return counts;
}

/* A part of one cluster, or of a run of zeros. */
struct part {
	uint32_t drive;
	uint64_t offset;
	uint8_t *to;
	size_t n;
};

/* Block by block: those that are not stored are zeros. */
static void copy_blocks(const struct view_held *held, const struct view_slot *slot,
			const struct part *part)
{
	uint32_t at = (uint32_t)(part->offset % CLUSTER_SIZE);
	uint8_t *to = part->to;

	for (size_t left = part->n, n; left > 0; left -= n, to += n, at += (uint32_t)n) {
		uint32_t block = at / BLOCK_SIZE, below = slot->mask & ((1u << block) - 1);
		const uint8_t *from = held->blocks + slot->blocks_at +
				      (size_t)__builtin_popcount(below) * BLOCK_SIZE;

		n = least(left, BLOCK_SIZE - at % BLOCK_SIZE);
		if (slot->mask >> block & 1)
			memcpy(to, from + at % BLOCK_SIZE, n);
		else
			memset(to, 0, n);
	}
}

/* As much of the part as one slot of the extent has. *n: how much. */
static int read_slot(struct view *view, const struct view_held *held, const struct part *part,
		     bool has_blocks, size_t *n)
{
	uint64_t cluster = part->offset / CLUSTER_SIZE;
	const struct view_slot *slot = view_held_find(held, part->drive, cluster);
	struct part own = *part;
	uint64_t end;

	if (slot == NULL) {
		view_cache_tell_lacking(&view->cache, held->extent);
		return EIO;
	}
	end = (slot->cluster + slot->n_clusters) * CLUSTER_SIZE;
	own.n = least(part->n, end - part->offset);
	*n = own.n;
	if (slot->mask == 0) {
		memset(own.to, 0, own.n);
		return 0;
	}
	if (!has_blocks)
		return ENODATA;
	if (slot->bad)
		return EIO;
	copy_blocks(held, slot, &own);
	return 0;
}

/* All of the part lies in the extent. ENODATA: its blocks are needed. */
static int read_held(struct view *view, const struct view_held *held, struct part part,
		     bool has_blocks)
{
	size_t n;

	for (; part.n > 0; part.n -= n, part.to += n, part.offset += n) {
		int error = read_slot(view, held, &part, has_blocks, &n);

		if (error != 0)
			return error;
	}
	return 0;
}

static int read_extent(struct view *view, uint32_t extent, const struct part *part, bool now)
{
	struct view_held *held;
	unsigned how = now ? VIEW_NOW : 0;
	int error = view_cache_get(&view->cache, extent, VIEW_BLOCKS | how, &held);
	bool has_blocks = error == 0;

	/* Its zeros can be read also where its blocks cannot. */
	if (error == EIO)
		error = view_cache_get(&view->cache, extent, VIEW_HEADER | how, &held);
	if (error != 0)
		return error;
	error = read_held(view, held, *part, has_blocks);
	view_cache_put(&view->cache, held);
	return error == ENODATA ? EIO : error;
}

static int read_runs(struct view *view, uint32_t drive, uint64_t offset, void *to, size_t n,
		     bool now)
{
	const struct view_drive *of = &view->map.drives[drive];
	uint64_t run = view_map_find(of, offset / CLUSTER_SIZE), end = offset + n;
	uint8_t *next = to;

	for (uint64_t at = offset; at < end; run++) {
		uint64_t run_end =
			run + 1 < of->n_runs ? of->runs[run + 1].cluster * CLUSTER_SIZE : end;
		struct part part = {drive, at, next, least(run_end, end) - at};
		int error = read_extent(view, of->runs[run].extent, &part, now);

		if (error != 0)
			return error;
		at += part.n;
		next += part.n;
	}
	view_ahead_note(&view->ahead, drive, offset, n);
	return 0;
}

/* One slot: up to where. */
static int status_of(struct view *view, uint32_t drive, uint64_t cluster, uint32_t extent,
		     uint64_t *end, bool *zero)
{
	struct view_held *held;
	const struct view_slot *slot;
	int error = view_cache_get(&view->cache, extent, VIEW_HEADER, &held);

	/* What cannot be read is no hole: those that read it are told so. */
	*end = cluster + 1;
	*zero = false;
	if (error != 0)
		return error == EIO ? 0 : error;
	slot = view_held_find(held, drive, cluster);
	if (slot != NULL) {
		*end = slot->cluster + slot->n_clusters;
		*zero = slot->mask == 0;
	}
	view_cache_put(&view->cache, held);
	return 0;
}

static int status_of_runs(struct view *view, uint32_t drive, uint64_t offset, uint64_t *n,
			  bool *zero)
{
	const struct view_drive *of = &view->map.drives[drive];
	uint64_t size = view_archive(view)->drives[drive].size_bytes, n_all = clusters_of(size);
	uint64_t at = offset / CLUSTER_SIZE, run = view_map_find(of, at), looked = 0;
	bool first = true;

	while (at < n_all && looked < STATUS_RUNS * 64) {
		uint64_t run_end = run + 1 < of->n_runs ? of->runs[run + 1].cluster : n_all, end;
		bool is_zero;
		int error = status_of(view, drive, at, of->runs[run].extent, &end, &is_zero);

		if (error != 0 && first)
			return error;
		if (error != 0 || (!first && is_zero != *zero))
			break;
		*zero = is_zero;
		first = false;
		at = least(end, run_end);
		run += at == run_end;
		looked++;
	}
	*n = least(at * CLUSTER_SIZE, size) - offset;
	return 0;
}

int view_read(struct view *view, uint32_t drive, uint64_t offset, void *to, size_t n, bool now)
{
	return view->fill != NULL ? view_fill_read(view->fill, drive, offset, to, n, now)
				  : read_runs(view, drive, offset, to, n, now);
}

int view_status(struct view *view, uint32_t drive, uint64_t offset, uint64_t *n, bool *zero)
{
	return view->fill != NULL ? view_fill_status(view->fill, drive, offset, n, zero)
				  : status_of_runs(view, drive, offset, n, zero);
}
