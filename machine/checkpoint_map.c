/*
 * The checkpoints in the file of a map that is not in use.
 */
#include "cow/generation.h"
#include "machine/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checkpoint_source {
	const char *path;
	uint64_t size_bytes;
	char drive[NAME_MAX_LENGTH + 1];
	struct generation *map;
};

static void close_source(struct checkpoint_source *source)
{
	struct error ignored;

	if (source == NULL)
		return;
	generation_close(source->map, &ignored);
	free(source);
}

/* A file has no name of its drive, but one of its own. */
static void name_drive(struct checkpoint_source *source)
{
	const char *name = base_name(source->path);

	if (name_usable((const uint8_t *)name, strlen(name)))
		snprintf(source->drive, sizeof(source->drive), "%s", name);
	else
		snprintf(source->drive, sizeof(source->drive), "map");
}

static int open_source(struct checkpoint_source **out, const struct machine_options *options,
		       const struct watcher *watcher, struct error *err)
{
	struct checkpoint_source *source = calloc(1, sizeof(*source));

	(void)watcher;
	if (source == NULL)
		return fail_memory(err);
	source->path = options->place;
	if (generation_look(&source->map, source->path, &source->size_bytes, err) < 0) {
		free(source);
		return err->code;
	}
	name_drive(source);
	*out = source;
	return 0;
}

static int list(struct checkpoint_source *source, struct checkpoint_list *out, struct error *err)
{
	struct checkpoint *lines = NULL;
	struct checkpoint_drive *drive;
	uint32_t n = 0;
	int code;

	*out = (struct checkpoint_list){0};
	drive = out->drives = calloc(1, sizeof(*drive));
	if (drive == NULL)
		return fail_memory(err);
	out->n_drives = 1;
	snprintf(drive->name, sizeof(drive->name), "%s", source->drive);
	drive->size_bytes = source->size_bytes;
	code = checkpoints_list(generation_checkpoints(source->map), &lines, &n, err);
	if (code == 0) {
		drive->lines = calloc(n + 1, sizeof(*drive->lines));
		if (drive->lines == NULL)
			code = fail_memory(err);
	}
	for (uint32_t i = 0; code == 0 && i < n; i++)
		drive->lines[drive->n_lines++] =
			(struct checkpoint_line){.it = lines[i],
						 .changed_bytes = generation_changed_bytes(
							 source->map, lines[i].generation)};
	checkpoint_sort(drive);
	free(lines);
	return code;
}

static int delete (struct checkpoint_source *source, const char *name, struct error *err)
{
	TRY(checkpoints_delete(generation_checkpoints(source->map), name, err));
	return generation_save_checkpoints(source->map, source->path, err);
}

/* ---- to other maps ---- */

/* A drive of serve is likely to be called as its map but for the ending. */
static int outline(struct checkpoint_source *source, uint32_t i, const char *name,
		   struct outline *out, struct error *err)
{
	size_t n = strlen(source->drive);
	bool is_map = n > 4 && strcmp(source->drive + n - 4, ".map") == 0;

	(void)i;
	*out = (struct outline){.size_bytes = source->size_bytes, .still = true};
	if (!checkpoints_find(generation_checkpoints(source->map), name, &out->line))
		return 0;
	if (generation_is_of_others(source->map))
		return fail(err, ERR_USAGE,
			    "%s: QEMU has recorded more than the map holds; name it as "
			    "qemu:SOCKET",
			    source->path);
	if (!out->line.good)
		return fail(err, ERR_USAGE, "checkpoint %s: is not complete", name);
	out->n_changed = generation_count(source->map, out->line.generation);
	if (out->line.origin_id == 0) {
		out->line.origin_id = generation_id(source->map);
		out->line.origin_generation = out->line.generation;
	}
	snprintf(out->drive, sizeof(out->drive), "%.*s", (int)(is_map ? n - 4 : n), source->drive);
	return 1;
}

static int bits(struct checkpoint_source *source, uint32_t i, const char *name, uint64_t cluster,
		uint64_t n, uint8_t *to, bool *any, struct error *err)
{
	struct checkpoint line;

	(void)i;
	if (!checkpoints_find(generation_checkpoints(source->map), name, &line))
		return fail(err, ERR_USAGE, "checkpoint %s: there is none of that name", name);
	generation_bits(source->map, line.generation, cluster, to, n);
	*any = true;
	return 0;
}

static const struct checkpoint_moves moves = {.outline = outline, .bits = bits};

const struct checkpoint_kind checkpoint_map = {
	.open = open_source,
	.list = list,
	.remove = delete,
	.moves = &moves,
	.close = close_source,
};
