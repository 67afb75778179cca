/*
 * Lists that cover the drive from its beginning to its end, each row with a status: nbdinfo --map
 * and qemu-img map. Source: spec/changes.md, section 4.
 */
#include "base/json.h"
#include "format/changelist_parts.h"

#include <string.h>

#define SECTOR 512u /* sizes of other formats than raw are rounded up to it */

struct row {
	uint64_t offset, length;
	bool changed;
};

/* Rows follow each other without gaps. */
static int take_row(struct changelist *list, uint64_t *end, const struct row *row,
		    struct error *err)
{
	DEMAND(row->offset == *end && row->length > 0 && row->length <= INT64_MAX - *end,
	       list->place, "a row from %llu on where one from %llu on should be",
	       (unsigned long long)row->offset, (unsigned long long)*end);
	*end += row->length;
	list->grain = SECTOR;
	return row->changed ? changelist_range(list, row->offset, row->length, err) : 0;
}

static int take_rows(struct changelist *list,
		     int (*read)(struct changelist *list, const struct json_t *object,
				 struct row *out, struct error *err),
		     struct error *err)
{
	struct changelist_objects objects = {0};
	struct json_t *object;
	uint64_t end = 0;
	int code;

	while ((code = changelist_object(list, &objects, &object, err)) == 1) {
		struct row row = {0};

		code = read(list, object, &row, err);
		json_free(object);
		if (code == 0)
			code = take_row(list, &end, &row, err);
		if (code != 0)
			return code;
	}
	if (code != 0)
		return code;
	DEMAND(objects.n > 0, list->taken, "covers nothing of the drive");
	DEMAND(objects.in_array, list->taken, "is not one array");
	return changelist_size(list, end, err);
}

/* ---- nbdinfo --map=qemu:dirty-bitmap:NAME ---- */

/* What every row of nbdinfo has; it also has a description then. */
static int read_status(struct changelist *list, const struct json_t *object, struct row *out,
		       uint64_t *type, struct error *err)
{
	DEMAND(json_member_number(object, "offset", &out->offset) &&
		       json_member_number(object, "length", &out->length) &&
		       json_member_number(object, "type", type) &&
		       json_member_text(object, "description") != NULL,
	       list->place, "a row without offset, length, type and description");
	return 0;
}

static int read_description(struct changelist *list, const char *text, uint64_t type, bool *changed,
			    struct error *err)
{
	*changed = type == 1;
	if ((type == 0 && strcmp(text, "clean") == 0) || (type == 1 && strcmp(text, "dirty") == 0))
		return 0;
	DEMAND(strstr(text, "data") == NULL && strstr(text, "hole") == NULL &&
		       strstr(text, "zero") == NULL,
	       list->place, "tells what is allocated (base:allocation), not what changed");
	DEMAND(strstr(text, "local") == NULL && strstr(text, "backing") == NULL, list->place,
	       "is of qemu:allocation-depth: say format=depth if the backing file is the parent's "
	       "state");
	return fail_at(err, ERR_DAMAGED, list->place, "a row that is neither clean nor dirty");
}

static int read_dirty(struct changelist *list, const struct json_t *object, struct row *out,
		      struct error *err)
{
	const char *text;
	uint64_t type;

	TRY(read_status(list, object, out, &type, err));
	text = json_member_text(object, "description");
	return read_description(list, text, type, &out->changed, err);
}

int changelist_nbdinfo(struct changelist *list, struct error *err)
{
	return take_rows(list, read_dirty, err);
}

int changelist_nbdinfo_text(struct changelist *list, struct error *err)
{
	uint64_t end = 0, type;
	char *line;
	int code;

	while ((code = changelist_line(list, &line, err)) == 1) {
		struct row row;

		DEMAND(changelist_number(&line, &row.offset) &&
			       changelist_number(&line, &row.length) &&
			       changelist_number(&line, &type),
		       list->place, "a line without offset, length and type");
		TRY(read_description(list, line, type, &row.changed, err));
		TRY(take_row(list, &end, &row, err));
	}
	return code != 0 ? code : changelist_size(list, end, err);
}

/* ---- what an image holds over the one that was the parent ---- */

static int read_depth(struct changelist *list, const struct json_t *object, struct row *out,
		      struct error *err)
{
	const char *text;
	uint64_t type;

	TRY(read_status(list, object, out, &type, err));
	text = json_member_text(object, "description");
	DEMAND((type == 0 && strcmp(text, "absent") == 0) ||
		       (type == 1 && strcmp(text, "local") == 0) ||
		       (type > 1 && strncmp(text, "backing depth", 13) == 0),
	       list->place, "a row that is not of qemu:allocation-depth");
	/* In no layer: never written, or discarded since. Zeros, which cost no reading. */
	out->changed = type < 2;
	return 0;
}

int changelist_depth(struct changelist *list, struct error *err)
{
	return take_rows(list, read_depth, err);
}

static int read_map(struct changelist *list, const struct json_t *object, struct row *out,
		    struct error *err)
{
	uint64_t depth;

	DEMAND(json_member_number(object, "start", &out->offset) &&
		       json_member_number(object, "length", &out->length) &&
		       json_member_number(object, "depth", &depth) &&
		       json_member(object, "present") != NULL &&
		       json_member(object, "zero") != NULL,
	       list->place, "a row without start, length, depth, present and zero");
	DEMAND(json_member_bool(object, "present") || json_member_bool(object, "zero"), list->place,
	       "a row neither present nor zero: with x-dirty-bitmap these mean other things; use "
	       "nbdinfo --map=qemu:dirty-bitmap:NAME --json");
	out->changed = depth == 0;
	return 0;
}

int changelist_overlay(struct changelist *list, struct error *err)
{
	return take_rows(list, read_map, err);
}
