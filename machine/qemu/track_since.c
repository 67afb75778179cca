/*
 * What changed in a drive that is tracked.
 */
#include "machine/qemu/track_since.h"

#include "base/grain.h"
#include "cow/rebuilt.h"
#include "machine/qemu/track_parts.h"

#include <stdio.h>
#include <string.h>

/* The token of another map: a checkpoint that came from there. False: none did. */
static bool ask_origin(struct tracked *one, uint64_t id, uint16_t generation, const uint8_t *parent)
{
	struct checkpoint found;

	if (!checkpoints_of_origin(generation_checkpoints(one->map), id, generation, &found))
		return false;
	if (!found.good)
		snprintf(one->refusal, sizeof(one->refusal),
			 "its checkpoint came from another map, and is incomplete");
	else if (parent != NULL && memcmp(found.uuid, parent, UUID_SIZE) != 0)
		snprintf(one->refusal, sizeof(one->refusal),
			 "the checkpoint that came from the other map is of another archive");
	else if (!one->recording || found.generation >= generation_current(one->map))
		snprintf(one->refusal, sizeof(one->refusal),
			 "its changes were not recorded: its map is an older copy");
	else {
		one->since = true;
		one->since_generation = found.generation;
	}
	return true;
}

static void ask_token(struct tracked *one, const char *token, const uint8_t *parent)
{
	char rebuilt[GENERATION_TOKEN_SIZE];
	uint16_t generation;
	uint64_t id;

	if (!generation_parse_token(token, &id, &generation) ||
	    (parent != NULL && strcmp(token, rebuilt_token(rebuilt, parent)) == 0))
		return;
	if (one->untracked)
		snprintf(one->refusal, sizeof(one->refusal), "QEMU cannot record its changes");
	else if (id != generation_id(one->map) && ask_origin(one, id, generation, parent))
		return;
	else if (id != generation_id(one->map))
		snprintf(one->refusal, sizeof(one->refusal), "its changes were not recorded: %s",
			 one->why[0] != '\0' ? one->why
					     : "its map began anew meanwhile, or is of another "
					       "state folder");
	else if (!one->recording || generation >= generation_current(one->map))
		snprintf(one->refusal, sizeof(one->refusal),
			 "its changes were not recorded: its map is an older copy");
	else if (parent == NULL ||
		 !checkpoints_confirm(generation_checkpoints(one->map), generation, parent))
		snprintf(one->refusal, sizeof(one->refusal),
			 "its changes were not recorded: its map does not know that backup, as it "
			 "was returned to an earlier state, or copied");
	else {
		one->since = true;
		one->since_generation = generation;
	}
}

/* The archive was compared with the drive, whatever its token is. */
static void ask_rebuilt(struct tracked *one, const uint8_t *parent)
{
	struct checkpoint found;

	if (!one->recording || !rebuilt_find(generation_checkpoints(one->map), parent, &found) ||
	    found.generation >= generation_current(one->map))
		return;
	if (!found.good) {
		snprintf(one->refusal, sizeof(one->refusal),
			 "the rebuilding of its checkpoint was not finished");
		return;
	}
	one->refusal[0] = '\0';
	one->since = true;
	one->since_generation = found.generation;
}

void tracked_ask(struct tracked *one, const char *token, const uint8_t *parent)
{
	if (token == NULL)
		return;
	ask_token(one, token, parent);
	if (!one->since && !one->untracked && parent != NULL)
		ask_rebuilt(one, parent);
}

int tracked_find_named(const struct tracked *one, const char *name, struct checkpoint *out,
		       struct error *err)
{
	if (one->map != NULL && checkpoints_find(generation_checkpoints(one->map), name, out) &&
	    out->good)
		return 0;
	return fail(err, ERR_USAGE, "drive %s: has no good checkpoint %.60s%s%s", one->name, name,
		    one->why[0] != '\0' ? ": " : "", one->why);
}

int tracked_ask_named(struct tracked *one, const char *name, struct error *err)
{
	struct checkpoint found;

	TRY(tracked_find_named(one, name, &found, err));
	if (one->untracked || !one->recording || found.generation >= generation_current(one->map))
		return fail(err, ERR_SYSTEM, "drive %s: what changed since %.60s was not recorded",
			    one->name, name);
	one->since = true;
	one->since_generation = found.generation;
	return 0;
}

static int copy_set(const struct tracked *one, struct cluster_set *out, struct error *err)
{
	uint64_t n_clusters = clusters_of(one->size_bytes), n;
	bool in;

	for (uint64_t at = 0; at < n_clusters; at += n) {
		n = cluster_set_run(&one->set, at, n_clusters - at, &in);
		if (in && cluster_set_add(out, at, n, err) < 0)
			return err->code;
	}
	return 0;
}

int track_changes(const struct track *track, uint32_t i, struct machine_changes *out,
		  struct error *err)
{
	const struct tracked *one;

	*out = (struct machine_changes){0};
	if (track == NULL)
		return 0;
	one = &track->drives[i];
	snprintf(out->why, sizeof(out->why), "%s", one->refusal);
	out->known = one->since;
	return one->since ? copy_set(one, &out->set, err) : 0;
}

/* ---- before the instant ---- */

/* Of both what the map and what its bitmap has. 0: the map has begun anew. */
static int take_now(const struct track *track, struct tracked *one, struct cluster_set *out,
		    struct error *err)
{
	uint64_t n_clusters = clusters_of(one->size_bytes), n;
	struct cluster_set current = {0};
	int code = tracked_current(one, track->qemu->qmp, &current, err);
	bool in;

	if (code == 1 && tracked_since(one, one->since_generation, out, err) < 0)
		code = err->code;
	for (uint64_t at = 0; at < n_clusters && code == 1; at += n) {
		n = cluster_set_run(&current, at, n_clusters - at, &in);
		if (in && cluster_set_include(out, at, n, err) < 0)
			code = err->code;
	}
	cluster_set_free(&current);
	return code;
}

static void renew_token(struct tracked *one)
{
	generation_token(one->token, generation_id(one->map), generation_current(one->map));
}

/* What is known is asked again at the instant. */
int track_changes_now(struct track *track, uint32_t i, const struct machine_since *since,
		      struct machine_changes *out, struct error *err)
{
	struct tracked *one = track == NULL ? NULL : &track->drives[i];
	int code = 1;

	if (one == NULL || one->map == NULL)
		return 0;
	tracked_ask(one, since->tokens[i], since->parent);
	out->known = one->since;
	one->since = false;
	one->refusal[0] = '\0';
	if (out->known)
		code = take_now(track, one, &out->set, err);
	if (code == 0)
		renew_token(one);
	out->known = out->known && code == 1;
	return code < 0 ? code : 0;
}
