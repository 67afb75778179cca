#include "cow/mapstream.h"

#include "base/bytes.h"
#include "base/name.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define CHECK_AT    8u
#define DRIVE_NAMES 88u /* offset of the names in a drive's record */

static const uint8_t magic[8] = {0x89, 'V', 'M', 'T', '\r', '\n', 0x1a, '\n'};

void mapstream_put_head(uint8_t to[MAPSTREAM_HEAD], uint64_t stream_id)
{
	memcpy(to, magic, sizeof(magic));
	put_le(to + 8, 8, stream_id);
}

int mapstream_get_head(const uint8_t from[MAPSTREAM_HEAD], uint64_t *stream_id, struct error *err)
{
	if (memcmp(from, magic, sizeof(magic)) != 0)
		return fail(err, ERR_DAMAGED, "this is no checkpoint that was exported");
	*stream_id = get_le(from + 8, 8);
	return 0;
}

/* The head is 8 bytes, and then comes the check: it is moved out of the way. */
static uint64_t check_of(const uint8_t *record, uint32_t n, uint64_t stream_id)
{
	uint8_t head[8 + 8];
	uint64_t body = XXH3_64bits_withSeed(record + MAPSTREAM_HEAD, n, stream_id);

	memcpy(head, record, 8);
	put_le(head + 8, 8, body);
	return XXH3_64bits_withSeed(head, sizeof(head), stream_id);
}

/* ---- putting ---- */

static uint32_t put_drive(uint8_t *to, const struct mapstream_record *record)
{
	const struct outline *outline = &record->outline;
	size_t name = strlen(outline->line.name), drive = strlen(outline->drive);

	memset(to, 0, DRIVE_NAMES);
	put_le(to, 4, record->drive);
	put_le(to + 4, 4, record->chunk_bytes);
	put_le(to + 8, 8, outline->size_bytes);
	put_le(to + 16, 8, outline->line.origin_id);
	put_le(to + 24, 2, outline->line.origin_generation);
	put_le(to + 28, 4, CLUSTER_SIZE);
	put_le(to + 32, 8, outline->n_changed);
	put_le(to + 40, 8, outline->line.instant_ns);
	memcpy(to + 48, outline->line.uuid, UUID_SIZE);
	put_le(to + 64, 8, outline->line.raw_bytes);
	put_le(to + 72, 8, outline->line.written_bytes);
	to[80] = (uint8_t)name;
	to[81] = (uint8_t)drive;
	memcpy(to + DRIVE_NAMES, outline->line.name, name);
	memcpy(to + DRIVE_NAMES + name, outline->drive, drive);
	return DRIVE_NAMES + (uint32_t)(name + drive);
}

static uint32_t put_chunks(uint8_t *to, const struct mapstream_record *record)
{
	put_le(to, 4, record->drive);
	put_le(to + 4, 4, record->n);
	put_le(to + 8, 8, record->chunk);
	if (record->kind == MAPSTREAM_TAKEN || record->bits == NULL)
		return 16;
	memcpy(to + 16, record->bits, record->n_bytes);
	return 16 + record->n_bytes;
}

static uint32_t put_end(uint8_t *to, const struct mapstream_record *record)
{
	put_le(to, 4, record->drive);
	put_le(to + 4, 4, record->outline.still);
	put_le(to + 8, 8, record->outline.n_changed);
	put_le(to + 16, 8, record->outline.last_ns);
	return 24;
}

static uint32_t put_have(uint8_t *to, const struct mapstream_record *record,
			 const struct mapstream_run *runs)
{
	put_le(to, 8, record->drive);
	for (uint32_t i = 0; i < record->n_runs; i++) {
		put_le(to + 8 + 16 * i, 8, runs[i].chunk);
		put_le(to + 16 + 16 * i, 8, runs[i].n);
	}
	return 8 + 16 * record->n_runs;
}

static uint32_t put_result(uint8_t *to, const struct mapstream_record *record)
{
	size_t n = strlen(record->text);

	put_le(to, 4, record->drive);
	put_le(to + 4, 4, (uint64_t)-record->code);
	memcpy(to + 8, record->text, n);
	return 8 + (uint32_t)n;
}

static uint32_t put_payload(uint8_t *to, const struct mapstream_record *record,
			    const struct mapstream_run *runs)
{
	switch (record->kind) {
	case MAPSTREAM_DRIVE:
		return put_drive(to, record);
	case MAPSTREAM_CHUNKS:
	case MAPSTREAM_TAKEN:
		return put_chunks(to, record);
	case MAPSTREAM_END:
		return put_end(to, record);
	case MAPSTREAM_HAVE:
		return put_have(to, record, runs);
	case MAPSTREAM_RESULT:
		return put_result(to, record);
	default:
		put_le(to, 8, record->drive);
		return 8;
	}
}

uint32_t mapstream_put(uint8_t *to, uint64_t stream_id, const struct mapstream_record *record,
		       const struct mapstream_run *runs)
{
	uint32_t n = put_payload(to + MAPSTREAM_HEAD, record, runs);

	put_le(to, 4, record->kind);
	put_le(to + 4, 4, n);
	put_le(to + CHECK_AT, 8, check_of(to, n, stream_id));
	return MAPSTREAM_HEAD + n;
}

/* ---- getting ---- */

static int get_name(char *out, size_t room, const uint8_t *from, size_t n, struct error *err)
{
	DEMAND(n > 0 && n < room && name_usable(from, n), NO_PLACE,
	       "a name in it is none that a drive or checkpoint can have");
	memcpy(out, from, n);
	out[n] = '\0';
	return 0;
}

static int get_drive(struct mapstream_record *out, const uint8_t *from, uint32_t n,
		     struct error *err)
{
	struct outline *outline = &out->outline;
	struct checkpoint *line = &outline->line;

	DEMAND(n >= DRIVE_NAMES && n == DRIVE_NAMES + from[80] + from[81], NO_PLACE,
	       "a drive's record has another length");
	DEMAND(all_zero(from + 26, 2) && all_zero(from + 82, 6), NO_PLACE,
	       "reserved bytes of a drive's record are not 0");
	SUPPORTED(get_le(from + 28, 4) == CLUSTER_SIZE, NO_PLACE,
		  "its granularity is %llu bytes, not %u", (unsigned long long)get_le(from + 28, 4),
		  CLUSTER_SIZE);
	out->chunk_bytes = (uint32_t)get_le(from + 4, 4);
	outline->size_bytes = get_le(from + 8, 8);
	line->origin_id = get_le(from + 16, 8);
	line->origin_generation = (uint16_t)get_le(from + 24, 2);
	outline->n_changed = get_le(from + 32, 8);
	line->instant_ns = get_le(from + 40, 8);
	memcpy(line->uuid, from + 48, UUID_SIZE);
	line->raw_bytes = get_le(from + 64, 8);
	line->written_bytes = get_le(from + 72, 8);
	DEMAND(outline->size_bytes < UINT64_C(1) << 62, NO_PLACE, "a drive's size is too large");
	TRY(get_name(line->name, sizeof(line->name), from + DRIVE_NAMES, from[80], err));
	return get_name(outline->drive, sizeof(outline->drive), from + DRIVE_NAMES + from[80],
			from[81], err);
}

static int get_chunks(struct mapstream_record *out, const uint8_t *from, uint32_t n,
		      struct error *err)
{
	bool is_taken = out->kind == MAPSTREAM_TAKEN;

	DEMAND(is_taken ? n == 16 : n >= 16, NO_PLACE, "a record of chunks has another length");
	out->n = get_le(from + 4, 4);
	out->chunk = get_le(from + 8, 8);
	DEMAND(out->n > 0 && out->chunk < UINT64_C(1) << 62, NO_PLACE,
	       "a record of chunks has none that can be");
	out->n_bytes = n - 16;
	out->bits = n > 16 ? from + 16 : NULL;
	return 0;
}

static int get_end(struct mapstream_record *out, const uint8_t *from, uint32_t n, struct error *err)
{
	DEMAND(n == 24 && get_le(from + 4, 4) <= 1, NO_PLACE, "the end of a drive is none");
	out->outline.still = get_le(from + 4, 4) == 1;
	out->outline.n_changed = get_le(from + 8, 8);
	out->outline.last_ns = get_le(from + 16, 8);
	return 0;
}

static int get_have(struct mapstream_record *out, const uint8_t *from, uint32_t n,
		    struct error *err)
{
	DEMAND(n >= 8 && n % 16 == 8 && n / 16 <= MAPSTREAM_RUNS_MAX && all_zero(from + 4, 4),
	       NO_PLACE, "an answer has another length");
	out->n_runs = n / 16;
	out->runs = from + 8;
	return 0;
}

static int get_result(struct mapstream_record *out, const uint8_t *from, uint32_t n,
		      struct error *err)
{
	size_t length = n < 8 ? 0 : least(n - 8, sizeof(out->text) - 1);

	DEMAND(n >= 8 && get_le(from + 4, 4) <= -ERR_LOCKED, NO_PLACE, "an answer is none");
	out->code = -(int)get_le(from + 4, 4);
	memcpy(out->text, from + 8, length);
	out->text[length] = '\0';
	return 0;
}

static int get_payload(struct mapstream_record *out, const uint8_t *from, uint32_t n,
		       struct error *err)
{
	DEMAND(n >= 8, NO_PLACE, "a record has another length");
	out->drive = (uint32_t)get_le(from, 4);
	switch (out->kind) {
	case MAPSTREAM_DRIVE:
		return get_drive(out, from, n, err);
	case MAPSTREAM_CHUNKS:
	case MAPSTREAM_TAKEN:
		return get_chunks(out, from, n, err);
	case MAPSTREAM_END:
		return get_end(out, from, n, err);
	case MAPSTREAM_HAVE:
		return get_have(out, from, n, err);
	case MAPSTREAM_RESULT:
		return get_result(out, from, n, err);
	case MAPSTREAM_DONE:
		DEMAND(n == 8 && all_zero(from + 4, 4), NO_PLACE, "the end of it is none");
		return 0;
	}
	return fail(err, ERR_UNSUPPORTED, "a record of kind %d, which this program does not know",
		    (int)out->kind);
}

int mapstream_length(const uint8_t head[MAPSTREAM_HEAD], uint32_t *n, struct error *err)
{
	*n = (uint32_t)get_le(head + 4, 4);
	DEMAND(*n <= MAPSTREAM_PAYLOAD_MAX, NO_PLACE, "a record is too long");
	return 0;
}

int mapstream_get(struct mapstream_record *out, const uint8_t *from, uint32_t n, uint64_t stream_id,
		  struct error *err)
{
	uint32_t length;

	*out = (struct mapstream_record){0};
	DEMAND(n >= MAPSTREAM_HEAD, NO_PLACE, "a record is too short");
	TRY(mapstream_length(from, &length, err));
	DEMAND(n == MAPSTREAM_HEAD + length, NO_PLACE, "a record has another length");
	DEMAND(get_le(from + CHECK_AT, 8) == check_of(from, length, stream_id), NO_PLACE,
	       "a record's checksum is wrong");
	DEMAND(all_zero(from + 2, 2), NO_PLACE, "reserved bytes of a record are not 0");
	out->kind = (enum mapstream_kind)get_le(from, 2);
	return get_payload(out, from + MAPSTREAM_HEAD, length, err);
}

struct mapstream_run mapstream_run(const struct mapstream_record *record, uint32_t i)
{
	const uint8_t *at = record->runs + 16 * (size_t)i;

	return (struct mapstream_run){get_le(at, 8), get_le(at + 8, 8)};
}
