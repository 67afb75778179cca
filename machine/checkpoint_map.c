/*
 * The checkpoints in the file of a map that is not in use, or in all maps of a state folder.
 */
#include "cow/generation.h"
#include "machine/checkpoint.h"
#include "machine/state.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAPS_MAX 65535

struct map_file {
	char *path; /* owned */
	uint64_t size_bytes;
	char drive[NAME_MAX_LENGTH + 1];
	struct generation *map;
};

struct checkpoint_source {
	struct state state; /* of a folder: held */
	struct map_file *maps;
	uint32_t n;
};

static void close_source(struct checkpoint_source *source)
{
	struct error ignored;

	if (source == NULL)
		return;
	for (uint32_t i = 0; i < source->n; i++) {
		generation_close(source->maps[i].map, &ignored);
		free(source->maps[i].path);
	}
	state_close(&source->state);
	free(source->maps);
	free(source);
}

/* A file has no name of its drive, which is likely to be its own but for the ending. */
static void name_drive(struct map_file *file)
{
	const char *name = base_name(file->path);
	size_t n = strlen(name);

	if (n > 4 && strcmp(name + n - 4, ".map") == 0)
		n -= 4;
	if (!name_usable((const uint8_t *)name, n))
		name = "map", n = 3;
	snprintf(file->drive, sizeof(file->drive), "%.*s", (int)n, name);
}

/* The path is the source's then. */
static int add_map(struct checkpoint_source *source, char *path, struct error *err)
{
	struct map_file *file = &source->maps[source->n];

	if (path == NULL)
		return fail_memory(err);
	*file = (struct map_file){.path = path};
	source->n++;
	name_drive(file);
	return generation_look(&file->map, path, &file->size_bytes, err);
}

static int is_map(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 4 && strcmp(entry->d_name + n - 4, ".map") == 0;
}

static int add_listed(struct checkpoint_source *source, struct dirent **entries, int n,
		      struct error *err)
{
	if (n > MAPS_MAX)
		return fail(err, ERR_USAGE, "%s: has more than %d maps", source->state.folder,
			    MAPS_MAX);
	source->maps = calloc((size_t)n, sizeof(*source->maps));
	if (source->maps == NULL)
		return fail_memory(err);
	for (int i = 0; i < n; i++)
		TRY(add_map(source, text_make("%s/%s", source->state.folder, entries[i]->d_name),
			    err));
	return 0;
}

static int open_folder(struct checkpoint_source *source, const char *path, struct error *err)
{
	struct dirent **entries = NULL;
	int n, code;

	n = scandir(path, &entries, is_map, alphasort);
	if (n < 0)
		return fail_system(err, errno, "%s", path);
	/* A folder that is another one gets no lock. */
	code = n == 0 ? fail(err, ERR_USAGE, "%s: has no map", path)
		      : state_find(&source->state, path, NULL, err);
	if (code >= 0)
		code = add_listed(source, entries, n, err);
	while (n > 0)
		free(entries[--n]);
	free(entries);
	return code;
}

/* FILE, or NAME=FILE, which names the drive. */
static int open_file(struct checkpoint_source *source, const char *place, struct error *err)
{
	const char *equals = strchr(place, '=');
	size_t n = equals == NULL ? 0 : (size_t)(equals - place);
	bool named = n > 0 && access(place, F_OK) != 0 && name_usable((const uint8_t *)place, n);

	source->maps = calloc(1, sizeof(*source->maps));
	if (source->maps == NULL)
		return fail_memory(err);
	TRY(add_map(source, text_make("%s", named ? equals + 1 : place), err));
	if (named)
		snprintf(source->maps->drive, sizeof(source->maps->drive), "%.*s", (int)n, place);
	return 0;
}

static int open_source(struct checkpoint_source **out, const struct machine_options *options,
		       const struct watcher *watcher, struct error *err)
{
	struct checkpoint_source *source = calloc(1, sizeof(*source));
	struct stat found;
	bool is_folder = stat(options->place, &found) == 0 && S_ISDIR(found.st_mode);

	(void)watcher;
	if (source == NULL)
		return fail_memory(err);
	source->state.lock = -1;
	if ((is_folder ? open_folder : open_file)(source, options->place, err) < 0) {
		close_source(source);
		return err->code;
	}
	*out = source;
	return 0;
}

static int list_map(const struct map_file *file, struct checkpoint_drive *drive, struct error *err)
{
	struct checkpoint *lines = NULL;
	uint32_t n = 0;

	snprintf(drive->name, sizeof(drive->name), "%s", file->drive);
	drive->size_bytes = file->size_bytes;
	TRY(checkpoints_list(generation_checkpoints(file->map), &lines, &n, err));
	drive->lines = calloc(n + (size_t)1, sizeof(*drive->lines));
	for (uint32_t i = 0; drive->lines != NULL && i < n; i++)
		drive->lines[drive->n_lines++] = (struct checkpoint_line){
			.it = lines[i],
			.changed_bytes = generation_changed_bytes(file->map, lines[i].generation)};
	free(lines);
	if (drive->lines == NULL)
		return fail_memory(err);
	checkpoint_sort(drive);
	return 0;
}

static int list(struct checkpoint_source *source, struct checkpoint_list *out, struct error *err)
{
	*out = (struct checkpoint_list){.drives = calloc(source->n, sizeof(*out->drives))};
	if (out->drives == NULL)
		return fail_memory(err);
	for (; out->n_drives < source->n; out->n_drives++)
		if (list_map(&source->maps[out->n_drives], &out->drives[out->n_drives], err) < 0) {
			out->n_drives++;
			return err->code;
		}
	return 0;
}

static int delete (struct checkpoint_source *source, const char *name, struct error *err)
{
	struct checkpoint ignored;
	uint32_t n = 0;

	for (uint32_t i = 0; i < source->n; i++) {
		struct map_file *file = &source->maps[i];
		struct checkpoints *table = generation_checkpoints(file->map);

		if (source->n > 1 && !checkpoints_find(table, name, &ignored))
			continue;
		TRY(checkpoints_delete(table, name, err));
		TRY(generation_save_checkpoints(file->map, file->path, err));
		n++;
	}
	return n > 0 ? 0
		     : fail(err, ERR_USAGE, "checkpoint %.127s: there is none of that name", name);
}

/* ---- to other maps ---- */

static int outline(struct checkpoint_source *source, uint32_t i, const char *name,
		   struct outline *out, struct error *err)
{
	const struct map_file *file = &source->maps[i];

	*out = (struct outline){.size_bytes = file->size_bytes, .still = true};
	if (!checkpoints_find(generation_checkpoints(file->map), name, &out->line))
		return 0;
	if (generation_is_of_others(file->map))
		return fail(err, ERR_USAGE,
			    "%s: QEMU has recorded more than the map holds; name it as "
			    "qemu:SOCKET",
			    file->path);
	if (generation_was_left_open(file->map))
		return fail(err, ERR_USAGE,
			    "%s: was not closed in order, and may lack what was written last: "
			    "vmabak serve, started with it and stopped, finds out",
			    file->path);
	if (!out->line.good)
		return fail(err, ERR_USAGE, "checkpoint %s: is not complete", name);
	out->n_changed = generation_count(file->map, out->line.generation);
	if (out->line.origin_id == 0) {
		out->line.origin_id = generation_id(file->map);
		out->line.origin_generation = out->line.generation;
	}
	snprintf(out->drive, sizeof(out->drive), "%s", file->drive);
	return 1;
}

static int bits(struct checkpoint_source *source, uint32_t i, const char *name, uint64_t cluster,
		uint64_t n, uint8_t *to, bool *any, struct error *err)
{
	const struct map_file *file = &source->maps[i];
	struct checkpoint line;

	if (!checkpoints_find(generation_checkpoints(file->map), name, &line))
		return fail(err, ERR_USAGE, "checkpoint %s: there is none of that name", name);
	generation_bits(file->map, line.generation, cluster, to, n);
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
