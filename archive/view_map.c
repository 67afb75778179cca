#include "archive/view_map.h"

#include "archive/layers.h"
#include "reader/lookup.h"

#include <stdlib.h>
#include <string.h>

/* One going through. */
struct making {
	struct view_map *map;
	struct layers layers;
	unsigned link;
	uint64_t extent_at; /* of the last extent of this link; 0: none yet */
};

/* Room for one more, doubled when it is used up. */
static int make_room(void **items, uint64_t n, uint64_t *room, size_t size, struct error *err)
{
	uint64_t wanted = *room == 0 ? 64 : *room * 2;
	void *more;

	if (n < *room)
		return 0;
	more = wanted > SIZE_MAX / size ? NULL : realloc(*items, wanted * size);
	if (more == NULL)
		return fail_memory(err);
	*items = more;
	*room = wanted;
	return 0;
}

static int add_extent(struct making *making, uint64_t at, struct error *err)
{
	struct view_map *map = making->map;
	uint64_t room = map->extents_room;
	void *extents = map->extents;

	if (making->extent_at == at)
		return 0;
	if (map->n_extents >= UINT32_MAX / 2)
		return fail(err, ERR_UNSUPPORTED, "more than %u extents in a chain",
			    UINT32_MAX / 2);
	TRY(make_room(&extents, map->n_extents, &room, sizeof(*map->extents), err));
	map->extents = extents;
	map->extents_room = (uint32_t)room;
	map->extents[map->n_extents++] = (struct view_extent){.at = at, .link = making->link};
	making->extent_at = at;
	return 0;
}

static int add_run(struct making *making, uint32_t number, uint64_t cluster, uint64_t extent_at,
		   struct error *err)
{
	struct view_drive *drive = &making->map->drives[number];
	void *runs = drive->runs;

	TRY(add_extent(making, extent_at, err));
	TRY(make_room(&runs, drive->n_runs, &drive->room, sizeof(*drive->runs), err));
	drive->runs = runs;
	drive->runs[drive->n_runs++] = (struct view_run){cluster, making->map->n_extents - 1};
	return 0;
}

/* What no newer archive holds of it. */
static int take_run(void *context, const struct lookup_run *run, struct error *err)
{
	struct making *making = context;
	struct slot slot = {
		.cluster = run->cluster, .n_clusters = run->n_clusters, .drive = run->drive};
	uint32_t drive;
	uint64_t n = layers_wanted(&making->layers, &slot, &drive);
	struct cluster_set *held;

	if (n == 0)
		return 0;
	held = &making->layers.held[drive];
	for (uint64_t at = run->cluster, end = at + n, part; at < end; at += part) {
		bool in;

		part = cluster_set_run(held, at, end - at, &in);
		if (!in)
			TRY(add_run(making, drive, at, run->extent_at, err));
	}
	return cluster_set_include(held, run->cluster, n, err);
}

static int take_link(struct making *making, struct view_links *links, unsigned number,
		     struct error *err)
{
	struct view_link *link;
	size_t n;
	int code;

	TRY(view_link_get(links, number, &link, err));
	n = (link->opened.archive->n_drives + (size_t)1) * sizeof(*link->drive_of);
	making->link = number;
	making->extent_at = 0;
	code = layers_begin(&making->layers, link->opened.archive, err);
	link->drive_of = malloc(n);
	if (code == 0 && link->drive_of == NULL)
		code = fail_memory(err);
	if (code == 0) {
		memcpy(link->drive_of, making->layers.drive_of, n - sizeof(*link->drive_of));
		code = lookup_runs(link->opened.reader, link->opened.input, take_run, making, err);
	}
	if (code != 0 && number > 0)
		error_in_file(err, view_link_name(links, number));
	view_link_put(links, link);
	return code;
}

static int compare_runs(const void *a, const void *b)
{
	const struct view_run *x = a, *y = b;

	return x->cluster < y->cluster ? -1 : x->cluster > y->cluster;
}

/* Neighbours that lie in one extent become one run; memory that is not needed is given back. */
static void settle(struct view_drive *drive)
{
	uint64_t n = 0;
	struct view_run *less;

	if (drive->n_runs > 0)
		qsort(drive->runs, drive->n_runs, sizeof(*drive->runs), compare_runs);
	for (uint64_t i = 0; i < drive->n_runs; i++)
		if (n == 0 || drive->runs[n - 1].extent != drive->runs[i].extent)
			drive->runs[n++] = drive->runs[i];
	drive->n_runs = n;
	less = n == 0 ? NULL : realloc(drive->runs, n * sizeof(*less));
	if (less != NULL)
		drive->runs = less;
}

int view_map_make(struct view_map *out, struct view_links *links, struct error *err)
{
	const struct archive *newest = links->links[0].opened.archive;
	struct making making = {.map = out};
	int code;

	*out = (struct view_map){.n_drives = newest->n_drives};
	out->drives = calloc((size_t)newest->n_drives + 1, sizeof(*out->drives));
	code = layers_open(&making.layers, newest, err);
	if (code == 0 && out->drives == NULL)
		code = fail_memory(err);
	for (unsigned i = 0; i < links->n && code == 0; i++)
		code = take_link(&making, links, i, err);
	if (code == 0)
		code = layers_check(&making.layers, links->name, false, err);
	layers_close(&making.layers);
	for (uint32_t i = 0; i < newest->n_drives && code == 0; i++)
		settle(&out->drives[i]);
	return code;
}

void view_map_free(struct view_map *map)
{
	for (uint32_t i = 0; map->drives != NULL && i < map->n_drives; i++)
		free(map->drives[i].runs);
	free(map->drives);
	free(map->extents);
	*map = (struct view_map){0};
}

uint64_t view_map_find(const struct view_drive *drive, uint64_t cluster)
{
	uint64_t low = 0, high = drive->n_runs; /* the run is in [low, high) */

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (drive->runs[middle].cluster <= cluster)
			low = middle;
		else
			high = middle;
	}
	return low;
}
