#include "machine/qemu/track_parts.h"

#include "base/grain.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/stats.h"
#include "machine/qemu/transfer.h"

#include <stdio.h>

static void say(struct tracked *one, const char *why)
{
	snprintf(one->why, sizeof(one->why), "%s", why);
}

void tracked_restart(struct tracked *one, const char *why)
{
	one->lost[one->lost[0] != 0] = generation_id(one->map);
	generation_restart(one->map);
	one->recording = one->stopped = false;
	say(one, why);
}

/* ---- marks ---- */

static void mark(struct tracked *one, const struct cluster_set *set)
{
	uint64_t n_clusters = clusters_of(one->size_bytes), n;
	bool in;

	for (uint64_t at = 0; at < n_clusters; at += n) {
		n = cluster_set_run(set, at, n_clusters - at, &in);
		if (in)
			generation_mark(one->map, at, n);
	}
}

int tracked_since(const struct tracked *one, uint16_t generation, struct cluster_set *out,
		  struct error *err)
{
	uint64_t n_clusters = clusters_of(one->size_bytes), n;

	for (uint64_t at = 0; at < n_clusters; at += n) {
		bool changed = generation_changed(one->map, generation, at, &n);

		if (changed && cluster_set_add(out, at, n, err) < 0)
			return err->code;
	}
	return 0;
}

int tracked_current(struct tracked *one, struct qmp *qmp, struct cluster_set *out,
		    struct error *err)
{
	char name[BITMAP_NAME_SIZE];
	struct transfer transfer = {
		.node = one->node,
		.bitmap = bitmap_name(name, generation_id(one->map), generation_current(one->map)),
		.size_bytes = one->size_bytes,
	};

	TRY(transfer_get(qmp, &transfer, out, err));
	if (cluster_set_has(out, clusters_of(one->size_bytes) - 1))
		return 1;
	tracked_restart(one, "another program has cleared its bitmap, or made it anew");
	return 0;
}

int tracked_fold(struct tracked *one, struct qmp *qmp, struct error *err)
{
	struct cluster_set set = {0};
	int code = tracked_current(one, qmp, &set, err);

	if (code == 1) {
		mark(one, &set);
		generation_advance(one->map);
		one->stopped = false;
	}
	cluster_set_free(&set);
	return code;
}

/* A push cannot do without the bitmap any more when the instant is over. */
static int check_current(struct tracked *one, struct qmp *qmp, struct error *err)
{
	struct cluster_set set = {0};
	int code = tracked_current(one, qmp, &set, err);

	cluster_set_free(&set);
	return code < 0 ? code : 0;
}

/* ---- whether it can go on ---- */

/* Why the map of this trust began anew, or NULL: it did not. */
static const char *judge_file(const struct generation *map)
{
	switch (generation_trust(map)) {
	case MAP_CLEAN:
	case MAP_KILLED:
		return NULL;
	case MAP_NEW:
		return "it has not been tracked before with this state folder";
	case MAP_MACHINE_DIED:
		return "the machine crashed while its map was open";
	case MAP_OTHER_DRIVE:
		return "it has another size than before";
	default:
		return "its map was damaged";
	}
}

/* The same for what QEMU has. */
static const char *judge_bitmaps(const struct bitmap *now, const struct bitmap *next,
				 const struct bitmap *end)
{
	if (!now->there)
		return "QEMU was started anew, or the bitmap was removed, as by a pivot of a mirror";
	if (!now->sound)
		return "its bitmap is broken, as QEMU was killed, or was made by another program";
	if (now->count_bytes == 0)
		return "another program has cleared its bitmap, or made it anew";
	if (!now->recording && !(next->there && next->sound && next->recording))
		return "another program has stopped its bitmap";
	if (!end->there || !end->sound || end->recording || end->count_bytes == 0)
		return "it was made smaller and larger again, or another program has changed a "
		       "bitmap of it";
	return NULL;
}

/* A run that died before its instant was over has begun the next one already. */
static int forget_next(struct tracked *one, struct qmp *qmp, struct error *err)
{
	char name[BITMAP_NAME_SIZE];

	bitmap_name(name, generation_id(one->map), (uint16_t)(generation_current(one->map) + 1));
	TRY(bitmap_remove(qmp, one->node, name, err));
	return qmp_settle(qmp, NULL, err);
}

/* What QEMU has of a map that does not count any more: before the map begins anew, since afterwards
 * nobody knows its id, should this run be killed. Broken ones have gone since the nodes were asked
 * for; what is left is removed in the end. */
static int forget_all(const struct tracked *one, struct qmp *qmp, const struct json_t *nodes,
		      uint64_t id, struct error *err)
{
	static const char *const none[3] = {"", "", ""};
	struct error refused;

	TRY(bitmaps_remove_map(qmp, nodes, one->node, id, none, err));
	if (qmp_settle(qmp, NULL, &refused) == 0 || qmp_works(qmp))
		return 0;
	*err = refused;
	return err->code;
}

/* One more generation that a dead run has ended. 0: there is none. */
static int heal_once(struct tracked *one, struct qmp *qmp, const struct json_t *nodes,
		     struct error *err)
{
	uint64_t id = generation_id(one->map);
	uint16_t current = generation_current(one->map);
	char name[BITMAP_NAME_SIZE];
	struct bitmap now = bitmap_find(nodes, one->node, bitmap_name(name, id, current));
	struct bitmap end = bitmap_find(nodes, one->node, bitmap_end_name(name, id));
	struct bitmap next = {0};
	const char *why;

	if (current < GENERATION_MAX)
		next = bitmap_find(nodes, one->node,
				   bitmap_name(name, id, (uint16_t)(current + 1)));
	why = current == GENERATION_MAX ? "its map has no more generations"
					: judge_bitmaps(&now, &next, &end);
	if (why != NULL && stats_machine_has_moved(qmp))
		return fail(
			err, ERR_LOCKED,
			"drive %s: the machine has moved, and its bitmap with its image: the QEMU "
			"where it is goes on with the same state folder",
			one->name);
	if (why != NULL) {
		TRY(forget_all(one, qmp, nodes, id, err));
		tracked_restart(one, why);
		return 0;
	}
	one->persistent = end.persistent;
	one->recording = now.recording;
	one->stopped = !now.recording;
	if (now.recording && next.there)
		TRY(forget_next(one, qmp, err));
	return now.recording ? check_current(one, qmp, err) : tracked_fold(one, qmp, err);
}

int tracked_heal(struct tracked *one, struct qmp *qmp, const struct json_t *nodes,
		 struct error *err)
{
	const char *why = judge_file(one->map);
	int code = 0;

	one->lost[0] = generation_lost_id(one->map);
	if (why != NULL)
		say(one, why);
	if (why != NULL && one->lost[0] != 0)
		TRY(forget_all(one, qmp, nodes, one->lost[0], err));
	if (why == NULL)
		while ((code = heal_once(one, qmp, nodes, err)) == 1)
			;
	return code;
}

/* ---- the end ---- */

/* Those of a map that begins at the next instant are of no use. */
int tracked_tidy(const struct tracked *one, struct qmp *qmp, const struct json_t *nodes,
		 struct error *err)
{
	char current[BITMAP_NAME_SIZE] = "", next[BITMAP_NAME_SIZE] = "",
	     end[BITMAP_NAME_SIZE] = "";
	const char *const keep[3] = {current, next, end}, *const none[3] = {"", "", ""};
	uint64_t id = generation_id(one->map);
	uint16_t generation = generation_current(one->map);

	if (!one->untracked && (one->recording || one->stopped || generation > 1)) {
		bitmap_name(current, id, generation);
		bitmap_end_name(end, id);
	}
	if (one->stopped)
		bitmap_name(next, id, (uint16_t)(generation + 1));
	TRY(bitmaps_remove_map(qmp, nodes, one->node, id, keep, err));
	for (unsigned i = 0; i < 2; i++) {
		if (one->lost[i] != 0)
			TRY(bitmaps_remove_map(qmp, nodes, one->node, one->lost[i], none, err));
	}
	return 0;
}
