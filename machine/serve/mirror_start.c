#include "machine/serve/mirror.h"

#include "base/clock.h"
#include "base/watcher.h"
#include "drive/target.h"

#include <stdlib.h>
#include <string.h>

#define LANES_LATE 4u /* for a target that answers slowly */

static void forget(struct serve_mirrors *mirrors)
{
	pthread_mutex_lock(&mirrors->lock);
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		free(mirrors->drives[i].target);
		free(mirrors->drives[i].format);
	}
	memset(mirrors->drives, 0, sizeof(mirrors->drives));
	mirrors->n_drives = 0;
	free(mirrors->state);
	mirrors->state = NULL;
	mirrors->phase = MIRROR_NONE;
	pthread_mutex_unlock(&mirrors->lock);
}

/* ---- what is wanted ---- */

static char *copy_text(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

static int find_served(struct serve *serve, const char *name, struct served **out,
		       struct error *err)
{
	for (uint32_t i = 0; name != NULL && i < serve->n_drives; i++) {
		if (strcmp(serve->drives[i].argument.name, name) == 0) {
			*out = &serve->drives[i];
			return 0;
		}
	}
	return fail(err, ERR_USAGE, "drive '%.60s': not served here", name == NULL ? "" : name);
}

static int parse_drive(struct serve_mirrors *mirrors, const struct json_t *line, struct error *err)
{
	struct mirrored *drive = &mirrors->drives[mirrors->n_drives];
	const char *name = json_member_text(line, "name");
	const char *target = json_member_text(line, "target");

	TRY(find_served(mirrors->serve, name, &drive->served, err));
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		if (mirrors->drives[i].served == drive->served)
			return fail(err, ERR_USAGE, "drive %s: named twice", name);
		if (target != NULL && strcmp(mirrors->drives[i].target, target) == 0)
			return fail(err, ERR_USAGE, "%s: is the target of two drives", target);
	}
	if (target != NULL && mirrors->state != NULL && strcmp(mirrors->state, target) == 0)
		return fail(err, ERR_USAGE, "%s: is the state, and no target", target);
	if (target == NULL || (target[0] != '/' && !target_is_uri(target)))
		return fail(err, ERR_USAGE, "drive %s: no target", name);
	drive->drive = drive->served->path;
	drive->target = strdup(target);
	drive->format = copy_text(json_member_text(line, "format"));
	mirrors->n_drives++;
	if (drive->target == NULL ||
	    (drive->format == NULL && json_member_text(line, "format") != NULL))
		return fail_memory(err);
	return 0;
}

static int parse(struct serve_mirrors *mirrors, const struct json_t *request, struct error *err)
{
	const struct json_t *lines = json_member(request, "drives");
	const char *state = json_member_text(request, "state");
	size_t n = json_length(lines);
	uint64_t rate = 0;

	if (mirrors->serve->options->read_only)
		return fail(err, ERR_USAGE, "the drives are read only: copy them instead");
	if (n == 0 || n > SERVED_MAX)
		return fail(err, ERR_USAGE, "a mirror of which drives?");
	if (state != NULL && state[0] != '/')
		return fail(err, ERR_USAGE, "the path of the state does not begin with /");
	json_member_number(request, "rate", &rate);
	mirrors->rate = rate;
	mirrors->hold = json_member_bool(request, "hold");
	mirrors->state = copy_text(state);
	if (state != NULL && mirrors->state == NULL)
		return fail_memory(err);
	for (size_t i = 0; i < n; i++)
		TRY(parse_drive(mirrors, json_item(lines, i), err));
	return 0;
}

/* ---- starting ---- */

static bool is_known(const struct mirrored *drive)
{
	const struct generation *map = drive->served->map;

	return drive->point.n_clusters > 0 && drive->point.map_id == generation_id(map) &&
	       drive->point.generation < generation_current(map) &&
	       generation_is_sure(map, drive->point.generation);
}

static unsigned n_clients(const struct serve *serve)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < serve->n_drives; i++)
		n += nbdserver_export_users(serve->nbd, i);
	return n;
}

/* A drive that is its own target would get older data over newer. */
static int open_target(struct serve_mirrors *mirrors, struct drive **out,
		       struct mirror_target *target, struct error *err)
{
	unsigned before = n_clients(mirrors->serve);

	TRY(mirror_target_open(out, target, err));
	if (!target_is_uri(target->path) || n_clients(mirrors->serve) <= before)
		return 0;
	drive_close(*out);
	return fail(err, ERR_USAGE,
		    "%s: seems to be an export of this server itself; if another client has just "
		    "connected try again",
		    target->path);
}

/* To open a file may empty it, of which the state must not say any more then that it has anything;
 * to open an export changes nothing. So exports come before what is promised. */
static int open_targets(struct serve_mirrors *mirrors, bool force, bool exports, struct error *err)
{
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		struct mirrored *drive = &mirrors->drives[i];

		if (target_is_uri(drive->target) != exports)
			continue;
		drive->to = (struct mirror_target){
			.path = drive->target,
			.format = drive->format,
			.size_bytes = drive->served->size_bytes,
			.force = force || drive->ours,
			.known = is_known(drive),
		};
		if (open_target(mirrors, &drive->opened, &drive->to, err) < 0) {
			drive->opened = NULL;
			error_prefix(err, "drive %s", drive->served->argument.name);
			return err->code;
		}
	}
	return 0;
}

static void close_targets(struct serve_mirrors *mirrors)
{
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		drive_close(mirrors->drives[i].opened);
		mirrors->drives[i].opened = NULL;
	}
}

static int begin_drive(struct serve_mirrors *mirrors, struct mirrored *drive, struct error *err)
{
	const struct mirror_target *target = &drive->to;
	struct mirror_options options = {
		.target = drive->opened,
		.bytes_per_s = mirrors->rate,
		.may_hold = mirrors->hold,
		.reads_zeros = target->reads_zeros,
		.n_lanes = target->answers_late ? LANES_LATE : 1,
	};
	struct mirror *mirror;
	struct serve_backup turn;

	drive->inode = target->inode;
	if (target->reads_zeros)
		drive->point = (struct mirror_point){0};
	options.known = drive->point;
	int code = mirror_target_watch(&options.watch, target, err);
	options.advance = code == 0 && mirrors_take_turn(mirrors, &turn);
	if (code == 0)
		code = mirror_begin(&mirror, drive->served->volume, &options, err);
	if (options.advance)
		serve_give_turn(mirrors->serve);
	if (code < 0) {
		free(options.watch);
		return code;
	}
	drive->opened = NULL;
	pthread_mutex_lock(&mirrors->lock);
	drive->mirror = mirror;
	pthread_mutex_unlock(&mirrors->lock);
	return 0;
}

/* A name that is mistyped must not cost what the state knows of the right one. */
static int look_at_all(const struct serve_mirrors *mirrors, bool force, struct error *err)
{
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		const struct mirrored *drive = &mirrors->drives[i];
		const struct mirror_target target = {
			.path = drive->target,
			.force = force || drive->ours,
			.known = is_known(drive),
		};

		if (drive->resized && !force)
			return fail(err, ERR_USAGE,
				    "drive %s: %s: has another size than the drive by now, so that "
				    "all is to be copied; --force overwrites it",
				    drive->served->argument.name, drive->target);
		if (mirror_target_look(&target, err) < 0) {
			error_prefix(err, "drive %s", drive->served->argument.name);
			return err->code;
		}
	}
	return 0;
}

/* What the file says from here on is that the targets which will be overwritten have nothing. */
static int promise(struct serve_mirrors *mirrors, struct error *err)
{
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		struct mirrored *drive = &mirrors->drives[i];

		bool known = is_known(drive);

		if (!known)
			drive->point = (struct mirror_point){0};
		/* A file of others is not called ours before it was overwritten. */
		drive->inode = known || drive->ours ? mirror_target_inode(drive->target) : 0;
	}
	return mirrors_write_state(mirrors, err);
}

static int begin_all(struct serve_mirrors *mirrors, bool force, struct error *err)
{
	if (mirrors->state != NULL)
		TRY(mirror_state_read(mirrors->state, mirrors->drives, mirrors->n_drives, err));
	TRY(look_at_all(mirrors, force, err));
	TRY(open_targets(mirrors, force, true, err));
	TRY(promise(mirrors, err));
	TRY(open_targets(mirrors, force, false, err));
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		if (begin_drive(mirrors, &mirrors->drives[i], err) < 0) {
			error_prefix(err, "drive %s", mirrors->drives[i].served->argument.name);
			return err->code;
		}
	}
	/* The inodes of new files. */
	return mirrors_write_state(mirrors, err);
}

/* One that has failed gives way. */
static int make_way(struct serve_mirrors *mirrors, struct error *err)
{
	struct mirror_status status;

	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		if (mirrors->drives[i].mirror == NULL)
			continue;
		mirror_status(mirrors->drives[i].mirror, &status);
		if (!status.failed)
			return fail(err, ERR_LOCKED,
				    "a mirror of drive %s is running; abort ends it",
				    mirrors->drives[i].served->argument.name);
	}
	mirrors_end(mirrors);
	for (uint32_t i = 0; i < SERVED_MAX; i++) {
		if (mirrors->late[i] == NULL)
			continue;
		if (!mirror_end(mirrors->late[i], 0))
			return fail(err, ERR_LOCKED,
				    "the target of an earlier mirror, or its drive, has not "
				    "answered the last request yet");
		mirrors->late[i] = NULL;
	}
	return 0;
}

int mirrors_start(struct serve_mirrors *mirrors, const struct mirror_start *start,
		  struct error *err)
{
	TRY(make_way(mirrors, err));
	forget(mirrors);
	if (start->request == NULL)
		return 0;
	int code = parse(mirrors, start->request, err);
	if (code == 0)
		code = begin_all(mirrors, json_member_bool(start->request, "force"), err);
	if (code < 0) {
		close_targets(mirrors);
		mirrors_end(mirrors);
		forget(mirrors);
		return code;
	}
	pthread_mutex_lock(&mirrors->lock);
	mirrors->phase = MIRROR_RUNS;
	mirrors->noted_ms = clock_ms();
	pthread_mutex_unlock(&mirrors->lock);
	return 0;
}
