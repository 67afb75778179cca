#include "machine/qemu/track.h"

#include "base/clock.h"
#include "base/grain.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/watcher.h"
#include "cow/checkpoints.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/stats.h"
#include "machine/qemu/track_parts.h"
#include "machine/qemu/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- open ---- */

/* The machine's name, or its uuid; the object is the caller's. NULL: it has none. */
static const char *ask_name(struct qmp *qmp, struct json_t **object)
{
	struct error ignored;
	const char *text;

	if (qmp_execute(qmp, object, &ignored, "query-name", NULL) == 0) {
		text = json_member_text(*object, "name");
		if (text != NULL)
			return text;
		json_free(*object);
	}
	*object = NULL;
	if (!qmp_works(qmp) || qmp_execute(qmp, object, &ignored, "query-uuid", NULL) < 0) {
		*object = NULL;
		return NULL;
	}
	text = json_member_text(*object, "UUID");
	return text != NULL && strspn(text, "0-") == strlen(text) ? NULL : text;
}

static int open_state(struct track *track, struct error *err)
{
	const char *folder = track->qemu->options->state;
	struct json_t *object = NULL;
	const char *name = folder == NULL ? ask_name(track->qemu->qmp, &object) : NULL;
	int code = track->looks ? state_find(&track->state, folder, name, err)
				: state_open(&track->state, folder, name, err);

	json_free(object);
	return code < 0 ? code : 0;
}

static int open_map(struct track *track, unsigned i, struct error *err)
{
	const struct inventory_drive *drive = &track->qemu->inventory.drives[i];
	struct tracked *one = &track->drives[i];
	char *path;
	int code;

	one->node = drive->node;
	one->name = drive->name;
	one->size_bytes = drive->size_bytes;
	if (drive->size_bytes == 0)
		return 0;
	path = state_map(&track->state, drive->label);
	if (path == NULL)
		return fail_memory(err);
	code = track->looks && access(path, F_OK) < 0 && errno == ENOENT
		       ? 0
		       : generation_open(&one->map, path, NULL, drive->size_bytes, err);
	free(path);
	return code;
}

static int open_drive(struct track *track, unsigned i, struct error *err)
{
	struct tracked *one = &track->drives[i];

	TRY(open_map(track, i, err));
	if (one->map == NULL)
		return 0;
	checkpoints_drop_pending(generation_checkpoints(one->map));
	TRY(tracked_heal(one, track->qemu->qmp, track->qemu->inventory.nodes, err));
	generation_token(one->token, generation_id(one->map), generation_current(one->map));
	return 0;
}

static int open_all(struct track *track, struct error *err)
{
	track->drives = calloc(track->qemu->inventory.n_drives, sizeof(*track->drives));
	if (track->drives == NULL)
		return fail_memory(err);
	TRY(open_state(track, err));
	for (; track->n < track->qemu->inventory.n_drives; track->n++)
		TRY(open_drive(track, track->n, err));
	return 0;
}

static int open_track(struct track **out, struct qemu *qemu, bool looks, struct error *err)
{
	struct track *track = calloc(1, sizeof(*track));

	if (track == NULL)
		return fail_memory(err);
	track->qemu = qemu;
	track->looks = looks;
	track->state.lock = -1;
	if (open_all(track, err) < 0) {
		track->n += track->n < qemu->inventory.n_drives && track->drives != NULL;
		track_close(track);
		return err->code;
	}
	*out = track;
	return 0;
}

int track_open(struct track **out, struct qemu *qemu, struct error *err)
{
	return open_track(out, qemu, false, err);
}

int track_look(struct track **out, struct qemu *qemu, struct error *err)
{
	return open_track(out, qemu, true, err);
}

const char *track_token(const struct track *track, uint32_t i)
{
	return track == NULL || track->drives[i].map == NULL ? NULL : track->drives[i].token;
}

/* ---- prepare ---- */

static int add_bitmap(struct qmp *qmp, const struct tracked *one, const char *name, bool disabled,
		      bool persistent, struct error *err)
{
	return qmp_execute(qmp, NULL, err, "block-dirty-bitmap-add", "{s:s, s:s, s:i, s:b, s:b}",
			   "node", one->node, "name", name, "granularity", (int)CLUSTER_SIZE,
			   "disabled", disabled, "persistent", persistent);
}

/* A map that begins: the bitmap that has the last cluster. Not every image can keep bitmaps. */
static int begin_map(struct track *track, struct tracked *one, struct error *err)
{
	char name[BITMAP_NAME_SIZE];
	struct transfer transfer = {
		.node = one->node,
		.bitmap = bitmap_end_name(name, generation_id(one->map)),
		.size_bytes = one->size_bytes,
	};
	struct cluster_set last = {0};
	struct error refused;
	int code;

	one->persistent = add_bitmap(track->qemu->qmp, one, name, true, true, &refused) == 0;
	if (!one->persistent)
		TRY(add_bitmap(track->qemu->qmp, one, name, true, false, err));
	code = cluster_set_add(&last, clusters_of(one->size_bytes) - 1, 1, err);
	if (code >= 0)
		code = transfer_put(track->qemu->qmp, &transfer, &last, err);
	cluster_set_free(&last);
	return code;
}

/* The backup is worth more than the next one's speed. */
static int give_up(struct track *track, struct tracked *one, struct error *refused,
		   struct error *err)
{
	if (!qmp_works(track->qemu->qmp)) {
		*err = *refused;
		return err->code;
	}
	qemu_advise(track->qemu, refused);
	watcher_warn(track->qemu->watcher, "drive %s: is not tracked: %s", one->name,
		     refused->text);
	tracked_restart(one, "QEMU cannot record them");
	one->untracked = true;
	return 0;
}

static int begin_maps(struct track *track, struct error *err)
{
	for (unsigned i = 0; i < track->n; i++) {
		struct tracked *one = &track->drives[i];
		struct error refused = {0};

		if (one->map != NULL && !one->recording && begin_map(track, one, &refused) < 0)
			TRY(give_up(track, one, &refused, err));
	}
	return 0;
}

static bool is_tracked(const struct tracked *one)
{
	return one->map != NULL && !one->untracked;
}

/* The bitmap of the next generation of each of these drives records from here on; of all or none.
 */
static int add_next_of(struct track *track, unsigned from, unsigned end_drive, struct error *err)
{
	struct json_t *actions = json_make("[]");

	for (unsigned i = from; i < end_drive; i++) {
		const struct tracked *one = &track->drives[i];
		char next[BITMAP_NAME_SIZE], end[BITMAP_NAME_SIZE];
		uint64_t id;

		if (!is_tracked(one))
			continue;
		id = generation_id(one->map);
		bitmap_name(next, id, (uint16_t)(generation_current(one->map) + 1));
		json_add(actions, json_make("{s:s, s:{s:s, s:s, s:i, s:b}}", "type",
					    "block-dirty-bitmap-add", "data", "node", one->node,
					    "name", next, "granularity", (int)CLUSTER_SIZE,
					    "persistent", one->persistent));
		json_add(actions, json_make("{s:s, s:{s:s, s:s, s:[s]}}", "type",
					    "block-dirty-bitmap-merge", "data", "node", one->node,
					    "target", next, "bitmaps", bitmap_end_name(end, id)));
	}
	return qmp_execute(track->qemu->qmp, NULL, err, "transaction", "{s:o}", "actions", actions);
}

/* What QEMU refuses of one drive costs the others nothing. */
static int add_next(struct track *track, struct error *err)
{
	struct error refused;

	if (add_next_of(track, 0, track->n, &refused) == 0)
		return 0;
	for (unsigned i = 0; i < track->n; i++) {
		if (is_tracked(&track->drives[i]) && add_next_of(track, i, i + 1, &refused) < 0)
			TRY(give_up(track, &track->drives[i], &refused, err));
	}
	return 0;
}

/* What the map and its current bitmap have, into the bitmap of the run. */
static int fill_part(struct track *track, struct tracked *one, const struct transfer *run,
		     struct error *err)
{
	uint16_t current = generation_current(one->map);
	char name[BITMAP_NAME_SIZE];
	struct cluster_set set = {0};
	int code = 0;

	TRY(qmp_execute(track->qemu->qmp, NULL, err, "block-dirty-bitmap-merge",
			"{s:s, s:s, s:[s]}", "node", one->node, "target", run->bitmap, "bitmaps",
			bitmap_name(name, generation_id(one->map), current)));
	if (one->since_generation + 1 < current)
		code = tracked_since(one, one->since_generation, &set, err);
	if (code == 0 && set.n_clusters > 0)
		code = transfer_put(track->qemu->qmp, run, &set, err);
	cluster_set_free(&set);
	return code;
}

/* The bitmap of the run records, too, so that nothing is between what it gets here and the instant,
 * and nothing has to be at the very instant. What it has by now will come for sure. */
static int add_part(struct track *track, unsigned i, const char *run, struct error *err)
{
	struct tracked *one = &track->drives[i];
	char name[NODE_NAME_SIZE];
	struct transfer transfer = {
		.node = one->node,
		.bitmap = node_name(name, run, i),
		.size_bytes = one->size_bytes,
	};

	TRY(add_bitmap(track->qemu->qmp, one, name, false, false, err));
	TRY(fill_part(track, one, &transfer, err));
	track->parts[i] = true;
	return transfer_get(track->qemu->qmp, &transfer, &one->set, err);
}

static int add_parts(struct track *track, const char *run, struct error *err)
{
	track->parts = calloc(track->n, sizeof(*track->parts));
	if (track->parts == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < track->n; i++) {
		if (track->drives[i].since)
			TRY(add_part(track, i, run, err));
	}
	return 0;
}

/* From here on every write is recorded; and if there was none before, since QEMU began. */
static void note_beginnings(struct track *track)
{
	for (unsigned i = 0; i < track->n; i++) {
		const struct tracked *one = &track->drives[i];
		uint64_t now = clock_real_ns(), since;

		if (!is_tracked(one) || one->recording)
			continue;
		since = stats_unwritten_since_ns(track->qemu->qmp, one->node);
		generation_begin(one->map, since != 0 ? since : now);
	}
}

int track_prepare(struct track *track, const struct machine_since *since, const char *run,
		  struct error *err)
{
	if (track == NULL)
		return 0;
	TRY(begin_maps(track, err));
	if (since->uuid != NULL) {
		memcpy(track->line.uuid, since->uuid, UUID_SIZE);
		format_uuid(track->line.name, since->uuid);
	}
	TRY(add_next(track, err));
	note_beginnings(track);
	for (unsigned i = 0; since->tokens != NULL && i < track->n; i++) {
		if (track->drives[i].map != NULL)
			tracked_ask(&track->drives[i], since->tokens[i], since->parent);
	}
	for (unsigned i = 0; track->qemu->options->since != NULL && i < track->n; i++) {
		if (track->drives[i].size_bytes > 0)
			TRY(tracked_ask_named(&track->drives[i], track->qemu->options->since, err));
	}
	return run == NULL ? 0 : add_parts(track, run, err);
}

const bool *track_parts(const struct track *track)
{
	return track == NULL ? NULL : track->parts;
}

/* ---- after the instant ---- */

static int stop_current(struct track *track, struct error *err)
{
	struct json_t *actions = json_make("[]");

	for (unsigned i = 0; i < track->n; i++) {
		const struct tracked *one = &track->drives[i];
		char name[BITMAP_NAME_SIZE];

		if (!is_tracked(one) || !one->recording)
			continue;
		bitmap_name(name, generation_id(one->map), generation_current(one->map));
		json_add(actions,
			 json_make("{s:s, s:{s:s, s:s}}", "type", "block-dirty-bitmap-disable",
				   "data", "node", one->node, "name", name));
	}
	TRY(qmp_execute(track->qemu->qmp, NULL, err, "transaction", "{s:o}", "actions", actions));
	for (unsigned i = 0; i < track->n; i++)
		track->drives[i].stopped =
			is_tracked(&track->drives[i]) && track->drives[i].recording;
	return 0;
}

/* A push has been told by the bitmap what to copy, and cannot be told otherwise any more. */
static int end_generation(struct track *track, unsigned i, struct error *err)
{
	struct tracked *one = &track->drives[i];
	int code = 1;

	if (one->recording)
		code = tracked_fold(one, track->qemu->qmp, err);
	else
		generation_advance(one->map);
	if (code < 0 || (code == 1 && !one->since))
		return code < 0 ? code : 0;
	if (code == 1)
		return track->parts != NULL
			       ? 0
			       : tracked_since(one, one->since_generation, &one->set, err);
	one->since = false;
	snprintf(one->refusal, sizeof(one->refusal), "its changes were not recorded: %s", one->why);
	return track->parts == NULL
		       ? 0
		       : fail(err, ERR_SYSTEM, "drive %s: %s; the next backup will compare it",
			      one->name, one->refusal);
}

/* Of an archive it is for people, and nothing depends on it. */
static int note(struct track *track, struct tracked *one, struct error *err)
{
	struct error ignored;
	int code;

	track->line.generation = (uint16_t)(generation_current(one->map) - 1);
	if (track->line.name[0] == '\0' || track->line.generation == 0)
		return 0;
	code = checkpoints_add(generation_checkpoints(one->map), &track->line,
			       track->line.good ? err : &ignored);
	one->noted = code == 0;
	return track->line.good ? code : 0;
}

int track_ended(struct track *track, struct error *err)
{
	struct timespec now;

	if (track == NULL)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	track->line.instant_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	TRY(stop_current(track, err));
	for (unsigned i = 0; i < track->n; i++) {
		if (!is_tracked(&track->drives[i]))
			continue;
		TRY(end_generation(track, i, err));
		TRY(note(track, &track->drives[i], err));
	}
	return 0;
}

int track_commit(struct track *track, const struct machine_archive *archive, struct error *err)
{
	unsigned n = 0;

	for (unsigned i = 0; track != NULL && i < track->n; i++) {
		struct tracked *one = &track->drives[i];

		TRY(tracked_rename(one, track->qemu->qmp, err));
		if (one->noted)
			TRY(checkpoints_commit(generation_checkpoints(one->map), track->line.name,
					       archive->raw_bytes, archive->written_bytes, err));
		n += is_tracked(one);
	}
	return (int)n;
}

const struct cluster_set *track_expected(const struct track *track, uint32_t i)
{
	return track == NULL || track->parts == NULL || !track->drives[i].since
		       ? NULL
		       : &track->drives[i].set;
}

/* ---- the end ---- */

/* The map first: until it is on disk the bitmap has what it lacks. */
static void close_drive(struct track *track, struct tracked *one, const struct json_t *nodes)
{
	struct error err = {0};
	bool kept = true;

	if (one->map == NULL)
		return;
	if (generation_failure(one->map, &err) != 0)
		kept = false;
	generation_sync(one->map);
	if (nodes != NULL && kept && generation_failure(one->map, &err) == 0)
		tracked_tidy(one, track->qemu->qmp, nodes, &err);
	checkpoints_drop_pending(generation_checkpoints(one->map));
	err = (struct error){0};
	if (generation_close(one->map, &err) < 0)
		watcher_warn(track->qemu->watcher,
			     "drive %s: the next backup will compare all of it: %s", one->name,
			     err.text);
	cluster_set_free(&one->set);
}

void track_close(struct track *track)
{
	struct json_t *nodes = NULL;
	struct error ignored;

	if (track == NULL)
		return;
	if (track->n > 0 && track->qemu->qmp != NULL && qmp_works(track->qemu->qmp) &&
	    nodes_query(track->qemu->qmp, &nodes, &ignored) < 0)
		nodes = NULL;
	for (unsigned i = 0; i < track->n; i++)
		close_drive(track, &track->drives[i], nodes);
	if (nodes != NULL && qmp_works(track->qemu->qmp))
		qmp_settle(track->qemu->qmp, NULL, &ignored);
	json_free(nodes);
	state_close(&track->state);
	free(track->drives);
	free(track->parts);
	free(track);
}
