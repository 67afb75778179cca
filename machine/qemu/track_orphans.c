/*
 * Bitmaps in QEMU that are those of a map, by their names, of which the state folder knows nothing:
 * it was lost, or is another one.
 */
#include "base/json.h"
#include "machine/checkpoint.h"
#include "machine/qemu/track_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Those of maps that were lost in this run go with it. */
static bool is_known(const struct track *track, uint64_t map)
{
	for (unsigned i = 0; i < track->n; i++) {
		const struct tracked *one = &track->drives[i];

		if (one->map != NULL &&
		    (generation_id(one->map) == map || one->lost[0] == map || one->lost[1] == map))
			return true;
	}
	return false;
}

/* Of the bitmaps of a map, the one that names most. */
static int add(struct checkpoint_drive *out, uint64_t map, const struct bitmap *bitmap,
	       struct error *err)
{
	char name[BITMAP_NAME_SIZE];
	struct checkpoint_line *line = NULL, *lines;

	bitmap_map_name(name, map);
	for (uint32_t i = 0; i < out->n_lines && line == NULL; i++) {
		if (out->lines[i].orphan && strcmp(out->lines[i].it.name, name) == 0)
			line = &out->lines[i];
	}
	if (line == NULL) {
		lines = realloc(out->lines, (out->n_lines + 1) * sizeof(*lines));
		if (lines == NULL)
			return fail_memory(err);
		out->lines = lines;
		line = &lines[out->n_lines++];
		*line = (struct checkpoint_line){.orphan = true};
		snprintf(line->it.name, sizeof(line->it.name), "%s", name);
	}
	if (bitmap->count_bytes > line->changed_bytes)
		line->changed_bytes = bitmap->count_bytes;
	return 0;
}

int tracked_orphans(const struct track *track, uint32_t i, struct checkpoint_drive *out,
		    struct error *err)
{
	const struct json_t *nodes = track->qemu->inventory.nodes;
	const char *node = track->drives[i].node, *name;
	uint64_t map;

	for (unsigned k = 0;
	     node != NULL && (name = bitmap_of_any_map(nodes, node, k, &map)) != NULL; k++) {
		struct bitmap bitmap = bitmap_find(nodes, node, name);

		if (!is_known(track, map))
			TRY(add(out, map, &bitmap, err));
	}
	return 0;
}

int track_forget_orphans(const struct track *track, const char *name, struct error *err)
{
	const struct json_t *nodes = track->qemu->inventory.nodes;
	char own[BITMAP_NAME_SIZE];

	for (unsigned i = 0; i < track->n; i++) {
		const struct tracked *one = &track->drives[i];

		if (one->map != NULL &&
		    strcmp(bitmap_map_name(own, generation_id(one->map)), name) == 0)
			return 0;
	}
	return bitmaps_remove_whole_map(track->qemu->qmp, nodes, name, err);
}
