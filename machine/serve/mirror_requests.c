#include "machine/serve/mirror.h"

#include "base/clock.h"
#include "base/watcher.h"
#include "drive/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS	  500
#define SETTLE_MS 3000 /* for a source to be synced before an abort is answered */
#define LIMIT_MS  15   /* a guest stands still for one attempt of a pivot */

/* ---- the keeper ---- */

static void answer_start(struct serve_mirrors *mirrors, struct mirror_start *start)
{
	mirrors_enter(mirrors);
	start->err = (struct error){0};
	mirrors_start(mirrors, start, &start->err);
	mirrors_leave(mirrors);
	pthread_mutex_lock(&mirrors->lock);
	mirrors->asked = NULL;
	start->done = true;
	pthread_cond_broadcast(&mirrors->changed);
	pthread_mutex_unlock(&mirrors->lock);
}

static void *keep(void *context)
{
	struct serve_mirrors *mirrors = context;

	pthread_mutex_lock(&mirrors->lock);
	while (!mirrors->closing) {
		struct mirror_start *start = mirrors->asked;

		bool settles = mirrors_settle_locked(mirrors);

		if (start == NULL && !settles)
			clock_cond_wait(&mirrors->changed, &mirrors->lock, clock_ms() + TICK_MS);
		bool runs = mirrors->phase == MIRROR_RUNS && !mirrors->closing;
		pthread_mutex_unlock(&mirrors->lock);
		if (settles) {
			mirrors_settle_all(mirrors);
		} else if (start != NULL) {
			answer_start(mirrors, start);
		} else if (runs) {
			mirrors_enter(mirrors);
			if (mirrors_note_is_due(mirrors))
				mirrors_note(mirrors, false);
			mirrors_leave(mirrors);
		}
		pthread_mutex_lock(&mirrors->lock);
	}
	pthread_mutex_unlock(&mirrors->lock);
	return NULL;
}

/* The keeper begins with the first mirror. */
static int start_keeper_locked(struct serve_mirrors *mirrors, struct error *err)
{
	int sys = mirrors->started ? 0 : pthread_create(&mirrors->keeper, NULL, keep, mirrors);

	if (sys != 0)
		return fail_start(err, sys, "cannot start a thread");
	mirrors->started = true;
	return 0;
}

/* ---- start ---- */

static void put_started(struct json_t *out, struct serve_mirrors *mirrors)
{
	struct json_t *drives = json_put_array(out, "drives");
	struct mirror_status status;

	pthread_mutex_lock(&mirrors->lock);
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		const struct mirrored *drive = &mirrors->drives[i];
		struct json_t *line = json_add_object(drives);

		json_put_text(line, "name", drive->served->argument.name);
		json_put_text(line, "target", drive->target);
		json_put_bool(line, "known", drive->point.n_clusters > 0);
		if (drive->mirror == NULL)
			continue;
		mirror_status(drive->mirror, &status);
		json_put_number(line, "left_bytes", status.left_bytes);
	}
	pthread_mutex_unlock(&mirrors->lock);
}

static int request_start(struct serve_mirrors *mirrors, const struct json_t *request,
			 struct json_t *out, struct error *err)
{
	struct mirror_start start = {.request = request};

	pthread_mutex_lock(&mirrors->lock);
	int code = start_keeper_locked(mirrors, err);
	while (code == 0 && mirrors->asked != NULL && !mirrors->closing)
		pthread_cond_wait(&mirrors->changed, &mirrors->lock);
	if (code == 0 && mirrors->closing)
		code = fail(err, ERR_LOCKED, "the server is stopping");
	if (code == 0) {
		mirrors->asked = &start;
		pthread_cond_broadcast(&mirrors->changed);
		while (!start.done && !mirrors->closing)
			pthread_cond_wait(&mirrors->changed, &mirrors->lock);
	}
	/* The keeper is through with it before it looks whether it is to close. */
	while (code == 0 && mirrors->asked == &start && mirrors->busy)
		pthread_cond_wait(&mirrors->changed, &mirrors->lock);
	if (mirrors->asked == &start)
		mirrors->asked = NULL;
	pthread_mutex_unlock(&mirrors->lock);
	if (code < 0)
		return code;
	if (!start.done)
		return fail(err, ERR_LOCKED, "the server is stopping");
	if (start.err.code != 0) {
		*err = start.err;
		return err->code;
	}
	put_started(out, mirrors);
	return 0;
}

/* ---- status and set ---- */

static const char *drive_state(const struct mirror_status *status)
{
	return status->failed ? "failed" : status->in_sync ? "in sync" : "copying";
}

static void put_mirrored(struct json_t *line, const struct mirrored *drive)
{
	struct mirror_status status;

	json_put_text(line, "name", drive->served->argument.name);
	json_put_text(line, "target", drive->target);
	json_put_number(line, "size_bytes", drive->served->size_bytes);
	if (drive->mirror == NULL)
		return;
	mirror_status(drive->mirror, &status);
	json_put_text(line, "state", drive_state(&status));
	json_put_number(line, "left_bytes", status.left_bytes);
	json_put_number(line, "copied_bytes", status.copied_bytes);
	json_put_number(line, "held_writes", status.held_writes);
	json_put_bool(line, "stalled", status.stalled);
	json_put_bool(line, "diverging", status.diverging);
	json_put_text(line, "error", status.failed ? status.err.text : NULL);
}

static void request_status(struct serve_mirrors *mirrors, struct json_t *out)
{
	struct json_t *mirror, *drives;

	pthread_mutex_lock(&mirrors->lock);
	if (mirrors->phase == MIRROR_NONE) {
		json_put_null(out, "mirror");
	} else {
		mirror = json_put_object(out, "mirror");
		json_put_text(mirror, "phase", mirrors_phase_text(mirrors->phase));
		json_put_number(mirror, "rate_bytes_per_s", mirrors->rate);
		json_put_text(mirror, "on_slow", mirrors->hold ? "wait" : "drop-to-changes");
		json_put_text(mirror, "state_file", mirrors->state);
		drives = json_put_array(mirror, "drives");
		for (uint32_t i = 0; i < mirrors->n_drives; i++)
			put_mirrored(json_add_object(drives), &mirrors->drives[i]);
	}
	pthread_mutex_unlock(&mirrors->lock);
}

static int check_runs(const struct serve_mirrors *mirrors, struct error *err)
{
	return mirrors->phase == MIRROR_RUNS ? 0 : fail(err, ERR_USAGE, "no mirror is running");
}

static int request_set(struct serve_mirrors *mirrors, const struct json_t *request,
		       struct error *err)
{
	uint64_t rate;

	TRY(check_runs(mirrors, err));
	pthread_mutex_lock(&mirrors->lock);
	if (json_member_number(request, "rate", &rate))
		mirrors->rate = rate;
	if (json_member(request, "hold") != NULL)
		mirrors->hold = json_member_bool(request, "hold");
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		if (mirrors->drives[i].mirror == NULL)
			continue;
		mirror_set_rate(mirrors->drives[i].mirror, mirrors->rate);
		mirror_set_hold(mirrors->drives[i].mirror, mirrors->hold);
	}
	pthread_mutex_unlock(&mirrors->lock);
	return 0;
}

/* ---- abort ---- */

/* The source is not waited for: it may be what does not answer. */
static int request_abort(struct serve_mirrors *mirrors, struct error *err)
{
	TRY(check_runs(mirrors, err));
	mirrors_note(mirrors, true);
	mirrors_end(mirrors);
	pthread_mutex_lock(&mirrors->lock);
	mirrors->phase = MIRROR_ABORTED;
	pthread_mutex_unlock(&mirrors->lock);
	return mirrors_write_state(mirrors, err);
}

/* Until the state tells what was noted last, but not long. */
static void await_settled(struct serve_mirrors *mirrors)
{
	int64_t until_ms = clock_ms() + SETTLE_MS;

	pthread_mutex_lock(&mirrors->lock);
	while (mirrors_settle_locked(mirrors) &&
	       clock_cond_wait(&mirrors->changed, &mirrors->lock, until_ms) == 0)
		continue;
	pthread_mutex_unlock(&mirrors->lock);
}

/* ---- pivot ---- */

/* The way back: the drives that the guest had, as targets. What they have is told at the end, when
 * it is on their disks. */
struct record {
	const struct serve_mirrors *mirrors;
	struct mirror_state state;
	struct mirrored drives[SERVED_MAX];
	struct mirror_point points[SERVED_MAX];
};

/* A target that has answered all else just now answers to its name, too. */
static int check_targets(const struct serve_mirrors *mirrors, struct error *err)
{
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		const struct mirrored *drive = &mirrors->drives[i];
		const struct mirror_target target = {
			.path = drive->target,
			.format = drive->format,
			.size_bytes = drive->served->size_bytes,
			.inode = drive->inode,
		};

		if (mirror_target_check(&target, err) < 0) {
			error_prefix(err, "drive %s", drive->served->argument.name);
			return err->code;
		}
	}
	return 0;
}

static int record(void *context, const struct mirror_point *points, struct error *err)
{
	struct record *record = context;

	TRY(check_targets(record->mirrors, err));
	memcpy(record->points, points, record->state.n_drives * sizeof(*points));
	return mirror_state_write(&record->state, false, err);
}

static int make_durable(void *context, struct error *err)
{
	struct record *record = context;

	return mirror_state_write(&record->state, true, err);
}

static int prepare_record(struct record *record, const struct serve_mirrors *mirrors,
			  struct error *err)
{
	*record = (struct record){.mirrors = mirrors,
				  .state = {
					  .path = mirrors->state,
					  .phase = "pivoted",
					  .drives = record->drives,
					  .n_drives = mirrors->n_drives,
				  }};
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		const struct mirrored *from = &mirrors->drives[i];
		char *path = target_is_uri(from->served->path) ? strdup(from->served->path)
							       : realpath(from->served->path, NULL);

		if (path == NULL)
			return fail_system(err, errno, "%s", from->served->path);
		record->drives[i] = (struct mirrored){
			.served = from->served,
			.drive = from->target,
			.target = path,
			.inode = mirror_target_inode(path),
		};
	}
	return 0;
}

/* A drive that cannot be flushed any more has nothing. */
static int tell_left(struct serve_mirrors *mirrors, struct record *record, struct error *err)
{
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		if (mirror_flush_left(mirrors->drives[i].mirror) != 0 ||
		    !mirrors_settle(mirrors->drives[i].served->map, &record->points[i]))
			record->points[i] = (struct mirror_point){0};
	}
	record->state.points = record->points;
	return mirror_state_write(&record->state, true, err);
}

static void free_record(struct record *record)
{
	for (uint32_t i = 0; i < record->state.n_drives; i++)
		free(record->drives[i].target);
	free(record);
}

/* The drive is the target from here on, and its map with it. */
static void adopt(struct serve_mirrors *mirrors, struct mirrored *drive)
{
	struct serve *serve = mirrors->serve;
	struct served *served = drive->served;
	bool is_uri = target_is_uri(drive->target);
	char *path = strdup(drive->target), *old = NULL;
	struct error err;

	pthread_mutex_lock(&serve->lock);
	served->drive = volume_drive(served->volume);
	if (path != NULL) {
		old = served->path;
		served->path = path;
	}
	pthread_mutex_unlock(&serve->lock);
	free(old);
	if (generation_move(served->map, is_uri ? NULL : drive->target, &err) < 0)
		watcher_warn(serve->watcher, "drive %s: %s; the map begins anew when it is opened",
			     served->argument.name, err.text);
	watcher_note(serve->watcher, "drive %s: is %s now", served->argument.name, drive->target);
}

static int pivot_all(struct serve_mirrors *mirrors, struct mirror_pivot *pivot, struct error *err)
{
	struct mirror *all[SERVED_MAX];
	bool pivoted;
	int code;

	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		all[i] = mirrors->drives[i].mirror;
	}
	code = mirror_pivot(all, mirrors->n_drives, pivot, &pivoted, err);
	if (!pivoted)
		return code;
	for (uint32_t i = 0; i < mirrors->n_drives; i++)
		adopt(mirrors, &mirrors->drives[i]);
	pthread_mutex_lock(&mirrors->lock);
	mirrors->phase = MIRROR_PIVOTED;
	pthread_mutex_unlock(&mirrors->lock);
	return code;
}

static int request_pivot(struct serve_mirrors *mirrors, struct json_t *out, struct error *err)
{
	struct record *kept;
	struct mirror_pivot pivot = {.record = record, .keep = make_durable, .limit_ms = LIMIT_MS};
	struct serve_backup turn;
	int code;

	TRY(check_runs(mirrors, err));
	if (!mirrors_take_turn(mirrors, &turn))
		return fail(err, ERR_LOCKED, "a backup of these drives is running");
	kept = calloc(1, sizeof(*kept));
	code = kept == NULL ? fail_memory(err) : prepare_record(kept, mirrors, err);
	pivot.context = kept;
	if (code == 0)
		code = pivot_all(mirrors, &pivot, err);
	serve_give_turn(mirrors->serve);
	if (code == 0)
		code = tell_left(mirrors, kept, err);
	if (mirrors->phase == MIRROR_PIVOTED)
		mirrors_end(mirrors);
	if (kept != NULL)
		free_record(kept);
	json_put_number(out, "standstill_ns", pivot.standstill_ns);
	json_put_number(out, "attempts", pivot.n_attempts);
	return code;
}

/* ---- all ---- */

static int perform(struct serve_mirrors *mirrors, const char *what, const struct json_t *request,
		   struct json_t *out, struct error *err)
{
	int code;

	if (strcmp(what, "mirror-start") == 0)
		return request_start(mirrors, request, out, err);
	if (strcmp(what, "mirror-status") == 0) {
		request_status(mirrors, out);
		return 0;
	}
	/* What is being noted, of a target that may never answer, is not waited for. */
	if (strcmp(what, "mirror-abort") == 0)
		mirrors_break(mirrors);
	(strcmp(what, "mirror-pivot") == 0 ? mirrors_enter_settled : mirrors_enter)(mirrors);
	if (strcmp(what, "mirror-set") == 0)
		code = request_set(mirrors, request, err);
	else if (strcmp(what, "mirror-abort") == 0)
		code = request_abort(mirrors, err);
	else if (strcmp(what, "mirror-pivot") == 0)
		code = request_pivot(mirrors, out, err);
	else
		code = fail(err, ERR_UNSUPPORTED, "this server does not know the request '%s'",
			    what);
	mirrors_leave(mirrors);
	if (strcmp(what, "mirror-abort") == 0)
		await_settled(mirrors);
	return code;
}

int serve_mirror(struct serve *serve, int fd, const struct json_t *request, struct error *err)
{
	struct json_t *reply = json_new();
	struct json_t *out = json_put_object(reply, "return");

	if (perform(serve->mirrors, json_member_text(request, "execute"), request, out, err) < 0) {
		json_free(reply);
		return err->code;
	}
	return message_send(fd, reply, -1, err);
}

int mirrors_open(struct serve *serve, struct error *err)
{
	struct serve_mirrors *mirrors = calloc(1, sizeof(*mirrors));

	if (mirrors == NULL)
		return fail_memory(err);
	mirrors->serve = serve;
	pthread_mutex_init(&mirrors->lock, NULL);
	clock_cond_init(&mirrors->changed);
	serve->mirrors = mirrors;
	return 0;
}

static void free_all(struct serve_mirrors *mirrors)
{
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		free(mirrors->drives[i].target);
		free(mirrors->drives[i].format);
	}
	free(mirrors->state);
	pthread_cond_destroy(&mirrors->changed);
	pthread_mutex_destroy(&mirrors->lock);
	free(mirrors);
}

void mirrors_close(struct serve_mirrors *mirrors)
{
	struct error err = {0};

	if (mirrors == NULL)
		return;
	mirrors_enter(mirrors);
	if (mirrors->phase == MIRROR_RUNS && request_abort(mirrors, &err) < 0)
		watcher_warn(mirrors->serve->watcher, "mirror: %s", err.text);
	mirrors_leave(mirrors);
	mirrors_enter_settled(mirrors);
	mirrors_leave(mirrors);
	for (uint32_t i = 0; i < SERVED_MAX; i++) {
		if (mirrors->late[i] != NULL)
			mirror_end(mirrors->late[i], 0); /* what is left of it ends with us */
	}
}

void mirrors_free(struct serve_mirrors *mirrors)
{
	if (mirrors == NULL)
		return;
	pthread_mutex_lock(&mirrors->lock);
	mirrors->closing = true;
	pthread_cond_broadcast(&mirrors->changed);
	pthread_mutex_unlock(&mirrors->lock);
	if (mirrors->started)
		pthread_join(mirrors->keeper, NULL);
	free_all(mirrors);
}
