/*
 * A map that was found wrong, before the instant or, of a pull, after it.
 */
#include "base/json.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/track_parts.h"
#include "machine/qemu/track_since.h"

#include <stdio.h>
#include <string.h>

static const char found_wrong[] = "its map was found wrong";

static void renew_token(struct tracked *one, uint16_t generation)
{
	generation_token(one->token, generation_id(one->map), generation);
}

/* The bitmap that records since the instant has nothing of what was wrong, and is to go on as that
 * of the new map, whose first generation ends with the instant. Until then QEMU is another
 * thread's. */
static void restart_after(struct track *track, struct tracked *one)
{
	struct error ignored;

	one->wrong_id = generation_id(one->map);
	one->wrong_generation = generation_current(one->map);
	tracked_restart(one, found_wrong);
	generation_begin(one->map, track->line.instant_ns);
	generation_advance(one->map);
	renew_token(one, 1);
	one->noted = false;
	track->line.generation = 1;
	if (track->line.name[0] != '\0')
		one->noted = checkpoints_add(generation_checkpoints(one->map), &track->line,
					     &ignored) == 0;
}

void track_distrust(struct track *track, uint32_t i)
{
	struct tracked *one = &track->drives[i];

	if (track->line.instant_ns != 0) {
		restart_after(track, one);
		return;
	}
	tracked_restart(one, found_wrong);
	renew_token(one, generation_current(one->map));
}

static void add_pair(struct json_t *actions, const struct tracked *one, const char *name,
		     bool disabled, const char *from)
{
	json_add(actions,
		 json_make("{s:s, s:{s:s, s:s, s:i, s:b, s:b}}", "type", "block-dirty-bitmap-add",
			   "data", "node", one->node, "name", name, "granularity",
			   (int)CLUSTER_SIZE, "disabled", disabled, "persistent", one->persistent));
	json_add(actions,
		 json_make("{s:s, s:{s:s, s:s, s:[s]}}", "type", "block-dirty-bitmap-merge", "data",
			   "node", one->node, "target", name, "bitmaps", from));
}

int tracked_rename(struct tracked *one, struct qmp *qmp, struct error *err)
{
	char name[BITMAP_NAME_SIZE], from[BITMAP_NAME_SIZE];
	uint64_t id = generation_id(one->map);
	struct json_t *actions;

	if (one->wrong_id == 0)
		return 0;
	actions = json_make("[]");
	add_pair(actions, one, bitmap_name(name, id, generation_current(one->map)), false,
		 bitmap_name(from, one->wrong_id, one->wrong_generation));
	add_pair(actions, one, bitmap_end_name(name, id), true,
		 bitmap_end_name(from, one->wrong_id));
	TRY(qmp_execute(qmp, NULL, err, "transaction", "{s:o}", "actions", actions));
	one->recording = true;
	one->wrong_id = 0;
	return 0;
}
