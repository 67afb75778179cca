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
	*out = source;
	return 0;
}

/* A file has no name of its drive, but one of its own. */
static void name_drive(struct checkpoint_drive *drive, const char *path)
{
	const char *name = base_name(path);

	if (name_usable((const uint8_t *)name, strlen(name)))
		snprintf(drive->name, sizeof(drive->name), "%s", name);
	else
		snprintf(drive->name, sizeof(drive->name), "map");
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
	name_drive(drive, source->path);
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
	free(lines);
	return code;
}

static int delete (struct checkpoint_source *source, const char *name, struct error *err)
{
	TRY(checkpoints_delete(generation_checkpoints(source->map), name, err));
	return generation_save_checkpoints(source->map, source->path, err);
}

const struct checkpoint_kind checkpoint_map = {
	.open = open_source,
	.list = list,
	.remove = delete,
	.close = close_source,
};
