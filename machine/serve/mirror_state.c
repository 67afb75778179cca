/*
 * The state of a mirror: a file of one JSON object, that says what each target has. It is written
 * before a target is, when it becomes known that it has more, and at the end; so it never promises
 * too much, whatever happens in between.
 */
#include "machine/serve/mirror.h"

#include "machine/mirror_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_VERSION 1

/* ---- reading ---- */

static bool parse_hex(const char *text, uint64_t *out)
{
	char *end;

	if (text == NULL || strlen(text) != 16)
		return false;
	*out = strtoull(text, &end, 16);
	return *end == '\0';
}

static struct mirrored *find_drive(struct mirrored *drives, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(drives[i].served->argument.name, name) == 0)
			return &drives[i];
	}
	return NULL;
}

/* A point counts for the same target alone: for another file under its name there is none. */
static int parse_drive(const char *path, const struct json_t *line, struct mirrored *drives,
		       uint32_t n, struct error *err)
{
	const char *name = json_member_text(line, "name"),
		   *target = json_member_text(line, "target");
	struct mirror_point point = {0};
	uint64_t size_bytes, generation, inode;
	struct mirrored *drive;

	if (name == NULL || target == NULL ||
	    !json_member_number(line, "size_bytes", &size_bytes) ||
	    !json_member_number(line, "generation", &generation) || generation > GENERATION_MAX ||
	    !json_member_number(line, "inode", &inode) ||
	    !json_member_number(line, "n_clusters", &point.n_clusters) ||
	    !parse_hex(json_member_text(line, "map"), &point.map_id))
		return mirror_file_foreign(path, err);
	drive = find_drive(drives, n, name);
	if (drive == NULL)
		return fail(err, ERR_USAGE,
			    "%s: is of a mirror that has drive %.127s, too; another file for "
			    "another mirror",
			    path, name);
	point.generation = (uint16_t)generation;
	if (strcmp(target, drive->target) != 0 || inode != mirror_target_inode(target) ||
	    size_bytes != drive->served->size_bytes)
		return 0;
	const struct mirror_target found = {
		.path = target,
		.format = drive->format,
		.size_bytes = size_bytes,
	};
	drive->ours = inode != 0 && point.n_clusters == 0;
	drive->resized = point.n_clusters > 0 && mirror_target_resized(&found);
	if (!drive->resized)
		drive->point = point;
	return 0;
}

int mirror_state_read(const char *path, struct mirrored *drives, uint32_t n, struct error *err)
{
	struct json_t *state;
	uint64_t version;
	int code = 0;

	TRY(mirror_file_read(path, &state, err));
	if (state == NULL)
		return 0;
	if (!json_member_number(state, "vmabak_mirror", &version))
		code = mirror_file_foreign(path, err);
	else if (version != STATE_VERSION)
		code = fail(err, ERR_UNSUPPORTED, "%s: is of version %llu, which is not known here",
			    path, (unsigned long long)version);
	const struct json_t *lines = json_member(state, "drives");
	for (size_t i = 0; code == 0 && i < json_length(lines); i++)
		code = parse_drive(path, json_item(lines, i), drives, n, err);
	json_free(state);
	return code;
}

/* ---- writing ---- */

static void put_drive(struct json_t *lines, const struct mirrored *drive,
		      const struct mirror_point *point)
{
	struct json_t *line = json_add_object(lines);
	char map[17];

	snprintf(map, sizeof(map), "%016llx", (unsigned long long)point->map_id);
	json_put_text(line, "name", drive->served->argument.name);
	json_put_text(line, "drive", drive->drive);
	json_put_text(line, "target", drive->target);
	json_put_text(line, "format", drive->format);
	json_put_number(line, "size_bytes", drive->served->size_bytes);
	json_put_number(line, "inode", drive->inode);
	json_put_text(line, "map", map);
	json_put_number(line, "generation", point->generation);
	json_put_number(line, "n_clusters", point->n_clusters);
}

static struct json_t *make_object(const struct mirror_state *state)
{
	struct json_t *object =
		json_make("{s:i, s:s}", "vmabak_mirror", STATE_VERSION, "phase", state->phase);
	struct json_t *lines = json_put_array(object, "drives");

	for (uint32_t i = 0; i < state->n_drives; i++)
		put_drive(lines, &state->drives[i],
			  state->points != NULL ? &state->points[i] : &state->drives[i].point);
	return object;
}

int mirror_state_write(const struct mirror_state *state, bool durable, struct error *err)
{
	return state->path == NULL
		       ? 0
		       : mirror_file_write(state->path, make_object(state), durable, err);
}
