/*
 * Increments: what the client's tokens mean here, and which clusters it will get.
 */
#include "machine/serve/state.h"

#include "base/clusterset.h"
#include "base/parse.h"
#include "cow/rebuilt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_MAX 4000u /* in a message: with the longest numbers it is full */

/* Why a map of that id is not there. The map of today may have begun in an earlier run. */
static const char *why_anew(const struct served *served)
{
	static const char *const texts[] = {
		[MAP_NEW] = "the map of changes is new",
		[MAP_CLEAN] = "the map of changes began anew meanwhile",
		[MAP_KILLED] = "the map of changes began anew meanwhile",
		[MAP_RECOVERED] = "the map of changes began anew meanwhile",
		[MAP_MACHINE_DIED] = "the map of changes began anew: the machine crashed while it "
				     "was open",
		[MAP_DRIVE_CHANGED] = "the map of changes began anew: another program wrote to the "
				      "drive",
		[MAP_OTHER_DRIVE] = "the map of changes began anew: it was of another drive, or "
				    "of another size of it",
		[MAP_DAMAGED] = "the map of changes began anew: its file was damaged",
		[MAP_UNSURE] = "the map of changes began anew: nothing could tell whether the "
			       "drive was written to while it was not served",
		[MAP_FILE_FAILED] = "the map of changes began anew: its file has failed",
	};

	if (served->distrusted)
		return "the map of changes began anew: it was found wrong";
	if (served->map_file == NULL)
		return "the map of changes was in memory only and ended with an earlier serve, "
		       "which --map prevents";
	return texts[generation_trust(served->map)];
}

/* The token of another map: a checkpoint that came from there. */
static const char *judge_origin(const struct served *served, uint64_t id, uint16_t g,
				const uint8_t *parent, struct capture_since *out)
{
	struct checkpoint found;

	if (!checkpoints_of_origin(generation_checkpoints(served->map), id, g, &found))
		return why_anew(served);
	if (!found.good)
		return "its checkpoint came from another map, and is incomplete";
	if (parent != NULL && memcmp(found.uuid, parent, UUID_SIZE) != 0)
		return "the checkpoint that came from the other map is of another archive";
	if (!generation_is_sure(served->map, found.generation))
		return "the drive could not be flushed, and may have gone back to older data";
	*out = (struct capture_since){.some = true, .generation = found.generation};
	return NULL;
}

static const char *judge_token(const struct served *served, const char *token,
			       const uint8_t *parent, struct capture_since *out)
{
	char rebuilt[GENERATION_TOKEN_SIZE];
	uint64_t id;
	uint16_t g;

	if (!generation_parse_token(token, &id, &g) ||
	    (parent != NULL && strcmp(token, rebuilt_token(rebuilt, parent)) == 0))
		return "";
	if (served->map == NULL)
		return "the server has no map of changes of drives that are read only";
	if (id != generation_id(served->map))
		return judge_origin(served, id, g, parent, out);
	if (g >= generation_current(served->map))
		return "the map of changes is an older copy";
	if (parent == NULL || !checkpoints_confirm(generation_checkpoints(served->map), g, parent))
		return "the map of changes does not know that backup: it was returned to an "
		       "earlier state, or copied";
	if (!generation_is_sure(served->map, g))
		return served->distrusted ? why_anew(served)
					  : "the drive could not be flushed, and may have gone "
					    "back to older data";
	*out = (struct capture_since){.some = true, .generation = g};
	return NULL;
}

/* The archive was compared with the drive, whatever its token is; why: it is not known otherwise.
 */
static const char *judge_rebuilt(const struct served *served, const uint8_t *parent,
				 const char *why, struct capture_since *out)
{
	struct checkpoint found;

	if (served->map == NULL ||
	    !rebuilt_find(generation_checkpoints(served->map), parent, &found))
		return why;
	if (!found.good)
		return "the rebuilding of its checkpoint was not finished";
	if (!generation_is_sure(served->map, found.generation))
		return "the drive could not be flushed, and may have gone back to older data";
	*out = (struct capture_since){.some = true, .generation = found.generation};
	return NULL;
}

const char *serve_judge(const struct served *served, const struct json_t *request,
			const char *token, struct capture_since *out)
{
	const char *text = json_member_text(request, "parent"), *why;
	uint8_t uuid[UUID_SIZE];
	const uint8_t *parent = text != NULL && parse_uuid(text, uuid) ? uuid : NULL;

	if (token == NULL || *token == '\0')
		return "";
	why = judge_token(served, token, parent, out);
	return why != NULL && parent != NULL ? judge_rebuilt(served, parent, why, out) : why;
}

static struct json_t *judge_all(struct serve_backup *backup, const struct json_t *request)
{
	const struct json_t *tokens = json_member(request, "tokens");
	struct json_t *message = json_new();
	struct json_t *drives = json_put_array(json_put_object(message, "return"), "drives");

	for (uint32_t i = 0; i < backup->n_volumes; i++) {
		struct json_t *drive = json_add_object(drives);
		const char *why = serve_judge(backup->drives[i], request, json_item_text(tokens, i),
					      &backup->since[i]);

		json_put_bool(drive, "known", why == NULL);
		json_put_text(drive, "why", why);
	}
	return message;
}

int serve_prepare(struct serve_backup *backup, struct error *err)
{
	const struct capture_options options = {.since = backup->since};

	return backup->prepared != NULL
		       ? 0
		       : capture_prepare(&backup->prepared, backup->volumes, backup->n_volumes,
					 backup->buffer, &options, err);
}

static bool name_instant(struct serve_backup *backup, const char *uuid)
{
	struct serve_instant *instant = &backup->instant;

	if (!parse_uuid(uuid, instant->uuid))
		return false;
	format_uuid(instant->name, instant->uuid);
	return true;
}

/* The guest may be frozen once this is answered. */
int serve_since(struct serve_backup *backup, const struct json_t *request, struct error *err)
{
	struct json_t *message;

	if (backup->since != NULL || backup->prepared != NULL)
		return fail(err, ERR_USAGE, "what is wanted was said before");
	backup->since = calloc(backup->n_volumes, sizeof(*backup->since));
	if (backup->since == NULL)
		return fail_memory(err);
	if (json_member_text(request, "uuid") != NULL &&
	    !name_instant(backup, json_member_text(request, "uuid")))
		return fail(err, ERR_USAGE, "no uuid");
	message = judge_all(backup, request);
	if (serve_prepare(backup, err) < 0) {
		json_free(message);
		return err->code;
	}
	return message_send(backup->fd, message, -1, err);
}

/* Runs from *at on, as pairs: how many clusters are left out before it, and how many it has. */
static void add_runs(struct json_t *runs, const struct cluster_set *set, uint64_t *at, uint64_t end)
{
	uint64_t left_out = 0, n;
	bool in;

	for (unsigned n_runs = 0; *at < end && n_runs < RUNS_MAX; *at += n) {
		n = cluster_set_run(set, *at, end - *at, &in);
		if (!in) {
			left_out = n;
			continue;
		}
		json_add_number(runs, left_out);
		json_add_number(runs, n);
		left_out = 0;
		n_runs++;
	}
}

struct json_t *serve_changes(const struct serve_backup *backup, const struct json_t *request,
			     struct error *err)
{
	struct json_t *message, *told;
	const struct cluster_set *set;
	uint64_t i, at, end;

	if (!json_member_number(request, "drive", &i) || i >= backup->n_volumes ||
	    !json_member_number(request, "from", &at) ||
	    (set = capture_wanted(backup->capture, (uint32_t)i)) == NULL) {
		fail(err, ERR_USAGE, "changes of which drive?");
		return NULL;
	}
	end = clusters_of(backup->drives[i]->size_bytes);
	at = least(at, end);
	message = json_new();
	told = json_put_object(message, "return");
	add_runs(json_put_array(told, "runs"), set, &at, end);
	json_put_number(told, "next", at);
	return message;
}
