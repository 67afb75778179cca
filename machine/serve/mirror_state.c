/*
 * The state of a mirror: a file of one JSON object, that says what each target has. It is written
 * before a target is, when it becomes known that it has more, and at the end; so it never promises
 * too much, whatever happens in between.
 */
#include "machine/serve/mirror.h"

#include "base/io.h"
#include "base/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_MAX     (1u << 20) /* bytes of the file */
#define STATE_VERSION 1

/* ---- reading ---- */

static int read_text(const char *path, char **out, size_t *n, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), sys;
	char *text;

	*out = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_system(err, errno, "%s", path);
	text = malloc(STATE_MAX);
	sys = text == NULL ? ENOMEM : io_read(fd, text, STATE_MAX, n);
	close(fd);
	if (sys != 0) {
		free(text);
		return fail_system(err, sys, "%s", path);
	}
	*out = text;
	return 0;
}

static int fail_foreign(const char *path, struct error *err)
{
	return fail(err, ERR_USAGE, "%s: is not the state of a mirror", path);
}

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
		return fail_foreign(path, err);
	drive = find_drive(drives, n, name);
	if (drive == NULL)
		return fail(err, ERR_USAGE,
			    "%s: is of a mirror that has drive %.127s, too; another file for "
			    "another mirror",
			    path, name);
	point.generation = (uint16_t)generation;
	if (strcmp(target, drive->target) == 0 && inode == mirror_target_inode(target) &&
	    size_bytes == drive->served->size_bytes) {
		drive->point = point;
		drive->ours = inode != 0 && point.n_clusters == 0;
	}
	return 0;
}

int mirror_state_read(const char *path, struct mirrored *drives, uint32_t n, struct error *err)
{
	struct json_t *state;
	size_t n_bytes = 0;
	uint64_t version;
	char *text;
	int code = 0;

	TRY(read_text(path, &text, &n_bytes, err));
	if (text == NULL)
		return 0;
	state = json_parse(text, n_bytes);
	free(text);
	if (state == NULL)
		return fail_foreign(path, err);
	if (!json_member_number(state, "vmabak_mirror", &version))
		code = fail_foreign(path, err);
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

static char *make_text(const struct mirror_state *state)
{
	struct json_t *object =
		json_make("{s:i, s:s}", "vmabak_mirror", STATE_VERSION, "phase", state->phase);
	struct json_t *lines = json_put_array(object, "drives");

	for (uint32_t i = 0; i < state->n_drives; i++)
		put_drive(lines, &state->drives[i],
			  state->points != NULL ? &state->points[i] : &state->drives[i].point);
	char *text = json_line(object);
	json_free(object);
	return text;
}

static int put_file(const char *path, const char *text, bool durable, struct error *err)
{
	struct newfile *temp = NULL;
	int fd, sys;

	TRY(newfile_create(&temp, &fd, path, err));
	sys = io_write(fd, text, strlen(text));
	if (sys == 0)
		sys = io_write(fd, "\n", 1);
	if (sys == 0 && durable && fsync(fd) < 0)
		sys = errno;
	close(fd);
	int code = sys != 0 ? fail_system(err, sys, "%s", path)
			    : newfile_publish(temp, true, durable, err);
	newfile_free(temp);
	return code;
}

int mirror_state_write(const struct mirror_state *state, bool durable, struct error *err)
{
	char *text;

	if (state->path == NULL)
		return 0;
	text = make_text(state);
	if (text == NULL)
		return fail_memory(err);
	int code = put_file(state->path, text, durable, err);
	free(text);
	return code;
}
