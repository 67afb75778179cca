/*
 * The stream of zfs send -i: records of 312 bytes, with the data behind those that have any.
 * Source: spec/changes.md, section 4.
 */
#include "base/bytes.h"
#include "format/changelist.h"

#include <stdio.h>

#define RECORD	    312u
#define MAGIC	    UINT64_C(0x2f5bacbac)
#define PAYLOAD_MAX (1u << 30)
#define OF_ZVOL	    3u
#define ZVOL_DATA   1u /* its object */

enum record_type {
	BEGIN,
	OBJECT,
	FREEOBJECTS,
	WRITE,
	FREE,
	END,
	WRITE_BYREF,
	SPILL,
	WRITE_EMBEDDED,
	OBJECT_RANGE,
	REDACT,
};

static uint64_t rounded(uint64_t n)
{
	return (n + 7) / 8 * 8;
}

/* How many bytes follow the record. */
static uint64_t payload_of(const uint8_t *record)
{
	uint64_t number;

	switch (get_le(record, 4)) {
	case BEGIN:
		return get_le(record + 4, 4);
	case OBJECT:
		number = get_le(record + 36, 4); /* of an encrypted one */
		return number != 0 ? number : rounded(get_le(record + 28, 4));
	case WRITE: /* compressed, or not */
		return get_le(record + (record[50] != 0 ? 96 : 32), 8);
	case SPILL:
		number = get_le(record + 40, 8);
		return number != 0 ? number : get_le(record + 16, 8);
	case WRITE_EMBEDDED:
		return rounded(get_le(record + 52, 4));
	default:
		return 0;
	}
}

/* A file system has many objects, a zvol one. */
static void name_instant(char out[CHANGELIST_TOKEN + 1], uint64_t guid, uint64_t object)
{
	size_t n =
		(size_t)snprintf(out, CHANGELIST_TOKEN + 1, "zfs:%llu", (unsigned long long)guid);

	if (object != ZVOL_DATA)
		snprintf(out + n, CHANGELIST_TOKEN + 1 - n, "/%llu", (unsigned long long)object);
}

static int begin(struct changelist *list, const uint8_t *record, struct error *err)
{
	uint64_t from = get_le(record + 48, 8);

	DEMAND(get_le(record, 4) == BEGIN && get_le(record + 8, 8) == MAGIC, 0,
	       "does not begin as a stream of zfs send of a little-endian machine");
	SUPPORTED((get_le(record + 16, 8) & 3) == 1, 0,
		  "a package of several streams (send -R, -I); make one with zfs send -i");
	DEMAND(from != 0, 0, "is a full stream: make it with zfs send -i");
	if (get_le(record + 32, 4) == OF_ZVOL && list->object == 0)
		list->object = ZVOL_DATA;
	DEMAND_ELSE(ERR_USAGE, list->object != 0, NO_PLACE,
		    "is of a file system: say ,object=N, the inode number of the drive's file");
	name_instant(list->since, from, list->object);
	name_instant(list->until, get_le(record + 40, 8), list->object);
	return 0;
}

/* Of the end: FREE may reach past it, to that of any object. */
static int take_range(struct changelist *list, uint64_t offset, uint64_t length, struct error *err)
{
	uint64_t size = list->size_bytes;

	if (offset >= size)
		return 0;
	return changelist_range(list, offset, least(length, size - offset), err);
}

static int take_record(struct changelist *list, const uint8_t *record, bool *named,
		       struct error *err)
{
	uint64_t type = get_le(record, 4), object = get_le(record + 8, 8);
	uint64_t offset = get_le(record + 16, 8), length = get_le(record + 24, 8);

	SUPPORTED(type <= REDACT && type != BEGIN, list->place, "record %llu",
		  (unsigned long long)type);
	DEMAND(type != FREEOBJECTS || list->object < object || list->object - object >= offset,
	       list->place, "object %llu was removed", (unsigned long long)list->object);
	if (object != list->object || type == FREEOBJECTS || type == OBJECT_RANGE)
		return 0;
	*named = true;
	switch (type) {
	case WRITE:
		return take_range(list, get_le(record + 24, 8), get_le(record + 32, 8), err);
	case FREE:
	case WRITE_BYREF:
	case WRITE_EMBEDDED:
	case REDACT:
		return take_range(list, offset, length, err);
	default:
		return 0;
	}
}

int changelist_zfs(struct changelist *list, struct error *err)
{
	const uint8_t *record;
	uint64_t payload;
	bool named = false;

	for (uint64_t n = 0;; n++) {
		TRY(changelist_take(list, RECORD, &record, err));
		if (n > 0 && get_le(record, 4) == END)
			break;
		TRY(n == 0 ? begin(list, record, err) : take_record(list, record, &named, err));
		payload = payload_of(record);
		DEMAND(payload <= PAYLOAD_MAX, list->place, "%llu bytes of data in a record",
		       (unsigned long long)payload);
		TRY(changelist_skip(list, payload, err));
	}
	/* A number that is mistaken must not pass for a drive that nobody wrote to. */
	DEMAND(named || list->object == ZVOL_DATA, list->place,
	       "has nothing of object %llu: nothing of it changed, or that is not its number",
	       (unsigned long long)list->object);
	return changelist_nothing_more(list, err);
}
