/*
 * Checkpoints here: those of backups, those that a user asks for, and what is told of them. The
 * table of a drive is in its map; a checkpoint of several drives is a line of the same name in
 * each.
 */
#include "machine/serve/state.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The generations that the instant to come will end. The turn is taken: no other ends them. */
int instant_expect(struct serve_instant *instant, const struct served *const *drives, uint32_t n,
		   struct error *err)
{
	instant->drives = drives;
	instant->n_drives = n;
	instant->of = calloc(n + 1, sizeof(*instant->of));
	if (instant->of == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < n; i++) {
		struct generation *map = drives[i]->map;
		if (map == NULL)
			continue;
		instant->of[i].id = generation_id(map);
		instant->of[i].generation = generation_current(map);
	}
	return 0;
}

void instant_note_time(struct serve_instant *instant)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	instant->instant_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void instant_free(struct serve_instant *instant)
{
	free(instant->of);
	instant->of = NULL;
}

/* NULL: the drive has no map, or one that began anew at the instant as its numbers ran out. */
static struct checkpoints *table_of(const struct serve_instant *instant, uint32_t i)
{
	struct generation *map = instant->drives[i]->map;

	return map == NULL || generation_id(map) != instant->of[i].id ? NULL
								      : generation_checkpoints(map);
}

void instant_settle(const struct serve_instant *instant)
{
	for (uint32_t i = 0; i < instant->n_drives; i++)
		if (instant->drives[i]->map != NULL)
			generation_settle(instant->drives[i]->map);
}

int instant_add(struct serve_instant *instant, bool good, struct error *err)
{
	struct checkpoint line = {.good = good, .instant_ns = instant->instant_ns};

	memcpy(line.name, instant->name, sizeof(line.name));
	memcpy(line.uuid, instant->uuid, sizeof(line.uuid));
	for (uint32_t i = 0; i < instant->n_drives; i++) {
		struct checkpoints *table = table_of(instant, i);

		line.generation = instant->of[i].generation;
		if (table != NULL && checkpoints_add(table, &line, err) < 0) {
			while (i-- > 0)
				if ((table = table_of(instant, i)) != NULL)
					checkpoints_delete(table, line.name, &(struct error){0});
			return err->code;
		}
	}
	instant->added = true;
	instant->good = good;
	return 0;
}

int instant_commit(struct serve_instant *instant, uint64_t raw_bytes, uint64_t written_bytes,
		   struct error *err)
{

	if (!instant->added)
		return fail(err, ERR_SYSTEM, "its instant has no checkpoint here");
	for (uint32_t i = 0; i < instant->n_drives; i++) {
		if (instant->drives[i]->map != NULL &&
		    !generation_is_sure(instant->drives[i]->map, instant->of[i].generation))
			return fail(
				err, ERR_SYSTEM,
				"drive %s could not be flushed since, and may have gone back to "
				"older data",
				instant->drives[i]->argument.name);
	}
	for (uint32_t i = 0; i < instant->n_drives; i++) {
		struct checkpoints *table = table_of(instant, i);

		if (table != NULL)
			TRY(checkpoints_commit(table, instant->name, raw_bytes, written_bytes,
					       err));
	}
	instant->good = true;
	return 0;
}

void instant_drop(struct serve_instant *instant)
{
	struct error ignored;

	for (uint32_t i = 0; instant->added && !instant->good && i < instant->n_drives; i++) {
		struct checkpoints *table = table_of(instant, i);

		if (table != NULL)
			checkpoints_delete(table, instant->name, &ignored);
	}
	instant->added = false;
}
