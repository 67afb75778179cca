#include "machine/qemu/mirror_parts.h"

#include "base/json.h"
#include "machine/qemu/bitmaps.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/transfer.h"

#include <stdlib.h>
#include <string.h>

static int put_last(struct qmp *qmp, const struct mirrored *drive, const char *node,
		    const char *name, struct error *err)
{
	struct transfer transfer = {node, name, drive->size_bytes};
	struct cluster_set last = {0};
	int code = cluster_set_add(&last, drive->n_clusters - 1, 1, err);

	if (code > 0)
		code = transfer_put(qmp, &transfer, &last, err);
	cluster_set_free(&last);
	return code;
}

int bits_add_marker(struct qmp *qmp, const struct mirrored *drive, const char *node,
		    struct error *err)
{
	char name[MIRROR_NAME_SIZE];

	mirror_part(name, drive->id, drive->i, "m");
	TRY(qmp_execute(qmp, NULL, err, "block-dirty-bitmap-add", "{s:s, s:s, s:i, s:b}", "node",
			node, "name", name, "granularity", (int)CLUSTER_SIZE, "disabled", 1));
	return put_last(qmp, drive, node, name, err);
}

/* One command after the other: a transaction waits for what is in flight, and so for a target that
 * gives no answer, and the guest with it. */
int bits_add(struct qmp *qmp, const struct mirrored *drive, const char *name, bool marked,
	     struct error *err)
{
	char marker[MIRROR_NAME_SIZE];

	TRY(qmp_execute(qmp, NULL, err, "block-dirty-bitmap-add", "{s:s, s:s, s:i, s:b}", "node",
			drive->node, "name", name, "granularity", (int)CLUSTER_SIZE, "persistent",
			marked && drive->persistent));
	if (marked && drive->has_markers)
		return qmp_execute(qmp, NULL, err, "block-dirty-bitmap-merge", "{s:s, s:s, s:[s]}",
				   "node", drive->node, "target", name, "bitmaps",
				   mirror_part(marker, drive->id, drive->i, "m"));
	return marked ? put_last(qmp, drive, drive->node, name, err) : 0;
}

int bits_remove(struct qmp *qmp, const struct mirrored *drive, const char *name, struct error *err)
{
	return qmp_execute(qmp, NULL, err, "block-dirty-bitmap-remove", "{s:s, s:s}", "node",
			   drive->node, "name", name);
}

/* What a guest may have written in the file of the bitmap's bits is not asked for when there is
 * nothing. */
int bits_harvest(struct qmp *qmp, const struct mirrored *drive, struct cluster_set *out,
		 struct error *err)
{
	char r[MIRROR_NAME_SIZE], t[MIRROR_NAME_SIZE];
	struct transfer transfer = {drive->node, t, drive->size_bytes};
	struct json_t *nodes;
	struct bitmap found;
	int code;

	mirror_part(r, drive->id, drive->i, "r");
	mirror_part(t, drive->id, drive->i, "t");
	TRY(nodes_query(qmp, &nodes, err));
	found = bitmap_find(nodes, drive->node, r);
	json_free(nodes);
	if (!found.there || !found.recording)
		return fail(err, ERR_SYSTEM, "another program has removed a bitmap of the mirror");
	if (found.count_bytes == 0)
		return 0;
	TRY(qmp_execute(qmp, NULL, err, "transaction",
			"{s:[{s:s, s:{s:s, s:s, s:i, s:b}}, {s:s, s:{s:s, s:s, s:[s]}}, "
			"{s:s, s:{s:s, s:s}}]}",
			"actions", "type", "block-dirty-bitmap-add", "data", "node", drive->node,
			"name", t, "granularity", (int)CLUSTER_SIZE, "disabled", 1, "type",
			"block-dirty-bitmap-merge", "data", "node", drive->node, "target", t,
			"bitmaps", r, "type", "block-dirty-bitmap-clear", "data", "node",
			drive->node, "name", r));
	code = transfer_get(qmp, &transfer, out, err);
	TRY(code);
	TRY(bits_remove(qmp, drive, t, err));
	return 1;
}

int bits_keep(struct qmp *qmp, const struct mirrored *drive, const char *state_id,
	      struct cluster_set *out, struct error *err)
{
	char name[MIRROR_NAME_SIZE];
	struct transfer transfer = {drive->node, name, drive->size_bytes};
	struct json_t *nodes;
	struct bitmap found;

	mirror_keep_name(name, state_id, drive->generation);
	TRY(nodes_query(qmp, &nodes, err));
	found = bitmap_find(nodes, drive->node, name);
	json_free(nodes);
	if (!found.there || !found.sound || !found.recording || found.count_bytes == 0)
		return 0;
	TRY(transfer_get(qmp, &transfer, out, err));
	return cluster_set_has(out, drive->n_clusters - 1);
}

/* ---- of all nodes ---- */

static int remove_of_node(struct qmp *qmp, const struct json_t *node, const char *state_id,
			  const char *but, bool *any, struct error *err)
{
	const struct json_t *list = json_member(node, "dirty-bitmaps");
	const char *name = json_member_text(node, "node-name");

	for (size_t i = 0; name != NULL && i < json_length(list); i++) {
		const char *bitmap = json_member_text(json_item(list, i), "name");

		if (!mirror_keep_name_is(bitmap, state_id) || strcmp(bitmap, but) == 0)
			continue;
		TRY(bitmap_remove(qmp, name, bitmap, err));
		*any = true;
	}
	return 0;
}

/* node NULL: of all. */
static int remove_keeps(struct qmp *qmp, const char *node, const char *state_id, const char *but,
			bool *any, struct error *err)
{
	struct json_t *nodes;
	int code = 0;

	TRY(nodes_query(qmp, &nodes, err));
	for (size_t i = 0; i < json_length(nodes) && code == 0; i++) {
		const struct json_t *item = json_item(nodes, i);
		const char *name = json_member_text(item, "node-name");

		if (node == NULL || (name != NULL && strcmp(name, node) == 0))
			code = remove_of_node(qmp, item, state_id, but, any, err);
	}
	json_free(nodes);
	return code == 0 ? qmp_settle(qmp, NULL, err) : code;
}

int bits_remove_keeps(struct qmp *qmp, const char *node, const char *state_id, int generation,
		      struct error *err)
{
	char keep[MIRROR_NAME_SIZE] = "";
	bool any;

	if (generation >= 0)
		mirror_keep_name(keep, state_id, (unsigned)generation);
	return remove_keeps(qmp, node, state_id, keep, &any, err);
}

int bits_forget_keeps(struct qmp *qmp, bool *any, struct error *err)
{
	return remove_keeps(qmp, NULL, NULL, "", any, err);
}

static uint64_t count_unnamed(const struct json_t *node)
{
	const struct json_t *list = json_member(node, "dirty-bitmaps");
	uint64_t count, all = 0;

	for (size_t i = 0; i < json_length(list); i++) {
		const struct json_t *bitmap = json_item(list, i);
		const char *name = json_member_text(bitmap, "name");

		if ((name == NULL || *name == '\0') && json_member_number(bitmap, "count", &count))
			all += count;
	}
	return all;
}

int bits_of_jobs(struct qmp *qmp, const char *node, uint64_t *out, struct error *err)
{
	struct json_t *nodes;

	*out = 0;
	TRY(nodes_query(qmp, &nodes, err));
	for (size_t i = 0; i < json_length(nodes); i++) {
		const char *name = json_member_text(json_item(nodes, i), "node-name");

		if (node == NULL || (name != NULL && strcmp(name, node) == 0))
			*out += count_unnamed(json_item(nodes, i));
	}
	json_free(nodes);
	return 0;
}
