#include "machine/qemu/bitmaps.h"

#include "base/grain.h"
#include "base/json.h"
#include "base/track_name.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qmp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "vmabak-"
#define DIGITS 16u /* of a map's id */
#define END    "end"

/* ---- names ---- */

char *bitmap_name(char out[BITMAP_NAME_SIZE], uint64_t map, uint16_t generation)
{
	snprintf(out, BITMAP_NAME_SIZE, PREFIX "%016" PRIx64 "-%u", map, generation);
	return out;
}

char *bitmap_end_name(char out[BITMAP_NAME_SIZE], uint64_t map)
{
	snprintf(out, BITMAP_NAME_SIZE, PREFIX "%016" PRIx64 "-" END, map);
	return out;
}

char *bitmap_map_name(char out[BITMAP_NAME_SIZE], uint64_t map)
{
	snprintf(out, BITMAP_NAME_SIZE, PREFIX "%016" PRIx64, map);
	return out;
}

/* Whether it is the name of a bitmap of some map. */
static bool is_of_a_map(const char *name)
{
	size_t prefix = sizeof(PREFIX) - 1;

	if (strncmp(name, PREFIX, prefix) != 0)
		return false;
	name += prefix;
	if (strspn(name, "0123456789abcdef") != DIGITS || name[DIGITS] != '-')
		return false;
	name += DIGITS + 1;
	return *name != '\0' &&
	       (strcmp(name, END) == 0 || name[strspn(name, "0123456789")] == '\0');
}

static bool is_of_map(const char *name, uint64_t map)
{
	char begin[BITMAP_NAME_SIZE];
	int n = snprintf(begin, sizeof(begin), PREFIX "%016" PRIx64 "-", map);

	return is_of_a_map(name) && strncmp(name, begin, (size_t)n) == 0;
}

/* ---- what a node has ---- */

static const struct json_t *list_of(const struct json_t *nodes, const char *node)
{
	for (size_t i = 0; i < json_length(nodes); i++) {
		const struct json_t *item = json_item(nodes, i);
		const char *name = json_member_text(item, "node-name");

		if (name != NULL && strcmp(name, node) == 0)
			return json_member(item, "dirty-bitmaps");
	}
	return NULL;
}

struct bitmap bitmap_find(const struct json_t *nodes, const char *node, const char *name)
{
	const struct json_t *list = list_of(nodes, node);
	struct bitmap out = {0};

	for (size_t i = 0; i < json_length(list); i++) {
		const struct json_t *item = json_item(list, i);
		const char *found = json_member_text(item, "name");
		uint64_t grain = 0;

		if (found == NULL || strcmp(found, name) != 0)
			continue;
		json_member_number(item, "granularity", &grain);
		json_member_number(item, "count", &out.count_bytes);
		out.there = true;
		out.sound = grain == CLUSTER_SIZE && !json_member_bool(item, "inconsistent");
		out.recording = json_member_bool(item, "recording");
		out.persistent = json_member_bool(item, "persistent");
		return out;
	}
	return out;
}

const char *bitmap_of_map(const struct json_t *nodes, const char *node, uint64_t map, unsigned n)
{
	const struct json_t *list = list_of(nodes, node);

	for (size_t i = 0; i < json_length(list); i++) {
		const char *name = json_member_text(json_item(list, i), "name");

		if (name != NULL && is_of_map(name, map) && bitmap_find(nodes, node, name).sound &&
		    n-- == 0)
			return name;
	}
	return NULL;
}

const char *bitmap_of_any_map(const struct json_t *nodes, const char *node, unsigned n,
			      uint64_t *map)
{
	const struct json_t *list = list_of(nodes, node);

	for (size_t i = 0; i < json_length(list); i++) {
		const char *name = json_member_text(json_item(list, i), "name");

		if (name == NULL || !is_of_a_map(name) || n-- > 0)
			continue;
		*map = strtoull(name + sizeof(PREFIX) - 1, NULL, 16);
		return name;
	}
	return NULL;
}

/* ---- removing ---- */

int bitmap_remove(struct qmp *qmp, const char *node, const char *name, struct error *err)
{
	return qmp_post(qmp, err, "block-dirty-bitmap-remove", "{s:s, s:s}", "node", node, "name",
			name);
}

int bitmaps_remove_map(struct qmp *qmp, const struct json_t *nodes, const char *node, uint64_t map,
		       const char *const keep[3], struct error *err)
{
	const struct json_t *list = list_of(nodes, node);

	for (size_t i = 0; i < json_length(list); i++) {
		const char *name = json_member_text(json_item(list, i), "name");

		if (name == NULL || !is_of_map(name, map) || strcmp(name, keep[0]) == 0 ||
		    strcmp(name, keep[1]) == 0 || strcmp(name, keep[2]) == 0)
			continue;
		TRY(bitmap_remove(qmp, node, name, err));
	}
	return 0;
}

/* Calls for each bitmap of each node that has them. */
static int each(struct qmp *qmp, const struct json_t *nodes,
		bool (*wanted)(const struct json_t *bitmap, const char *name, const char *id),
		const char *id, unsigned *n, struct error *err)
{
	for (size_t i = 0; i < json_length(nodes); i++) {
		const struct json_t *node = json_item(nodes, i);
		const struct json_t *list = json_member(node, "dirty-bitmaps");
		const char *node_name = json_member_text(node, "node-name");

		for (size_t k = 0; node_name != NULL && k < json_length(list); k++) {
			const struct json_t *bitmap = json_item(list, k);
			const char *name = json_member_text(bitmap, "name");

			if (name == NULL || !wanted(bitmap, name, id))
				continue;
			TRY(bitmap_remove(qmp, node_name, name, err));
			++*n;
		}
	}
	return 0;
}

static bool is_broken(const struct json_t *bitmap, const char *name, const char *id)
{
	(void)id;
	return json_member_bool(bitmap, "inconsistent") &&
	       (is_of_a_map(name) || track_name_is_ours(name));
}

int bitmaps_remove_broken(struct qmp *qmp, const struct json_t *nodes, unsigned *n,
			  struct error *err)
{
	unsigned n_refused;
	struct error ignored;

	*n = 0;
	TRY(each(qmp, nodes, is_broken, NULL, n, err));
	if (qmp_settle(qmp, &n_refused, &ignored) < 0 && !qmp_works(qmp))
		*err = ignored;
	*n -= qmp_works(qmp) ? n_refused : 0;
	return err->code;
}

static bool is_of_map_name(const struct json_t *bitmap, const char *name, const char *map_name)
{
	size_t n = strlen(map_name);

	(void)bitmap;
	return is_of_a_map(name) && strncmp(name, map_name, n) == 0 && name[n] == '-';
}

int bitmaps_remove_whole_map(struct qmp *qmp, const struct json_t *nodes, const char *map_name,
			     struct error *err)
{
	unsigned n = 0;

	TRY(each(qmp, nodes, is_of_map_name, map_name, &n, err));
	TRY(qmp_settle(qmp, NULL, err));
	return (int)n;
}

static bool is_of_run(const struct json_t *bitmap, const char *name, const char *id)
{
	(void)bitmap;
	return node_name_is_of(name, id);
}

int bitmaps_remove_run(struct qmp *qmp, const struct json_t *nodes, const char *id, unsigned *n,
		       struct error *err)
{
	return each(qmp, nodes, is_of_run, id, n, err);
}
