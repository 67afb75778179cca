/* What Ceph's rbd writes. Source: spec/changes.md, section 4. */
#include "base/bytes.h"
#include "base/json.h"
#include "format/changelist_parts.h"

#include <string.h>

/* ---- rbd diff --format json ---- */

static int take_extent(struct changelist *list, const struct json_t *object, struct error *err)
{
	const char *exists = json_member_text(object, "exists");
	uint64_t offset, length;

	DEMAND(json_member_number(object, "offset", &offset) &&
		       json_member_number(object, "length", &length) &&
		       (exists != NULL || json_member(object, "exists") != NULL),
	       list->place, "an extent without offset, length and exists");
	/* One that does not exist any more has become zeros. */
	DEMAND(exists == NULL || strcmp(exists, "true") == 0 || strcmp(exists, "false") == 0,
	       list->place, "exists is neither true nor false");
	return changelist_range(list, offset, length, err);
}

int changelist_rbd_json(struct changelist *list, struct error *err)
{
	struct changelist_objects objects = {0};
	struct json_t *object;
	int code;

	while ((code = changelist_object(list, &objects, &object, err)) == 1) {
		code = take_extent(list, object, err);
		json_free(object);
		if (code != 0)
			return code;
	}
	if (code != 0)
		return code;
	DEMAND(objects.in_array, list->taken, "is not one array");
	return 0;
}

/* ---- rbd export-diff ---- */

#define NAME_MAX_BYTES 4096u

struct stream {
	unsigned version; /* 1 or 2 */
	bool has_from, has_size;
	uint64_t rest; /* version 2: bytes of the record that are not read yet */
};

/* The next n bytes of a record. */
static int take(struct changelist *list, struct stream *stream, unsigned n, const uint8_t **bytes,
		struct error *err)
{
	DEMAND(stream->version == 1 || n <= stream->rest, list->place,
	       "a record that is too short");
	stream->rest -= stream->version == 1 ? 0 : n;
	return changelist_take(list, n, bytes, err);
}

static int take_number(struct changelist *list, struct stream *stream, unsigned n, uint64_t *out,
		       struct error *err)
{
	const uint8_t *bytes;

	TRY(take(list, stream, n, &bytes, err));
	*out = get_le(bytes, n);
	return 0;
}

static int skip_name(struct changelist *list, struct stream *stream, struct error *err)
{
	const uint8_t *bytes;
	uint64_t length;

	TRY(take_number(list, stream, 4, &length, err));
	DEMAND(length <= NAME_MAX_BYTES, list->place, "a name of %llu bytes",
	       (unsigned long long)length);
	return take(list, stream, (unsigned)length, &bytes, err);
}

static int take_data(struct changelist *list, struct stream *stream, bool has_bytes,
		     struct error *err)
{
	uint64_t offset, length, place;

	TRY(take_number(list, stream, 8, &offset, err));
	place = list->place;
	TRY(take_number(list, stream, 8, &length, err));
	list->place = place;
	DEMAND(stream->has_size, place, "a range before the size");
	DEMAND(length <= INT64_MAX, place, "a range of %llu bytes", (unsigned long long)length);
	if (has_bytes) {
		DEMAND(stream->version == 1 || stream->rest == length, place,
		       "a record of another length than its data");
		/* The data ends where the next record begins, which must be there. */
		TRY(changelist_skip(list, length, err));
		stream->rest = 0;
	}
	return changelist_range(list, offset, length, err);
}

static int take_record(struct changelist *list, struct stream *stream, uint8_t tag,
		       struct error *err)
{
	uint64_t number;

	switch (tag) {
	case 'f':
		stream->has_from = true;
		return skip_name(list, stream, err);
	case 't':
		return skip_name(list, stream, err);
	case 's':
		DEMAND(!stream->has_size, list->place, "the size comes twice");
		stream->has_size = true;
		TRY(take_number(list, stream, 8, &number, err));
		return changelist_size(list, number, err);
	case 'p': /* whether the snapshot is protected */
		return take_number(list, stream, 8, &number, err);
	case 'w':
		return take_data(list, stream, true, err);
	case 'z':
		return take_data(list, stream, false, err);
	default:
		return fail_at(err, ERR_UNSUPPORTED, list->place, "record '%c'",
			       tag > ' ' && tag <= '~' ? tag : '?');
	}
}

int changelist_rbd_diff(struct changelist *list, struct error *err)
{
	static const char magics[2][13] = {"rbd diff v1\n", "rbd diff v2\n"};
	struct stream stream = {0};
	const uint8_t *bytes;

	TRY(changelist_take(list, 12, &bytes, err));
	for (unsigned i = 0; i < 2; i++)
		if (memcmp(bytes, magics[i], 12) == 0)
			stream.version = i + 1;
	DEMAND(stream.version != 0, 0, "does not begin with 'rbd diff v1' or v2");
	for (;;) {
		TRY(changelist_take(list, 1, &bytes, err));
		uint8_t tag = *bytes;
		if (tag == 'e')
			break;
		if (stream.version == 2) {
			TRY(changelist_take(list, 8, &bytes, err));
			stream.rest = get_le(bytes, 8);
		}
		TRY(take_record(list, &stream, tag, err));
		DEMAND(stream.rest == 0, list->place, "a record that is too long");
	}
	DEMAND(stream.has_size, list->place, "tells no size");
	DEMAND(stream.has_from, list->place,
	       "is a full export: make it with rbd export-diff --from-snap");
	return changelist_nothing_more(list, err);
}
