#include "format/volume.h"

#include "base/bytes.h"

#include <assert.h>
#include <string.h>

#define VOLUME_MAGIC   "\x89VMT\r\n\x1a\n"
#define MAGIC_SIZE     8u
#define VOLUME_VERSION 1u
#define RECORD_UNIT    512u

enum volume_field {
	MARK_VERSION = 0x08,
	MARK_KIND = 0x0c,
	MARK_SET = 0x10,
	MARK_UUID = 0x20,
	MARK_NUMBER = 0x30,
	MARK_RECORD_SIZE = 0x34,
	MARK_PLACE = 0x38,
	MARK_WRITTEN = 0x40,
	MARK_RESERVED = 0x48,
	MARK_CHECKSUM = 0x1f0,
};
static_assert(MARK_CHECKSUM + CHECKSUM_SIZE == VOLUME_MARK_SIZE, "spec/tape.md, section 3");

void volume_build(const struct volume_mark *mark, uint8_t out[VOLUME_MARK_SIZE])
{
	memset(out, 0, VOLUME_MARK_SIZE);
	memcpy(out, VOLUME_MAGIC, MAGIC_SIZE);
	put_le(out + MARK_VERSION, 4, VOLUME_VERSION);
	put_le(out + MARK_KIND, 4, mark->kind);
	memcpy(out + MARK_SET, mark->set, UUID_SIZE);
	memcpy(out + MARK_UUID, mark->uuid, UUID_SIZE);
	put_le(out + MARK_NUMBER, 4, mark->number);
	put_le(out + MARK_RECORD_SIZE, 4, mark->record_size);
	put_le(out + MARK_PLACE, 8, mark->place);
	put_le(out + MARK_WRITTEN, 8, (uint64_t)mark->written_ns);
	checksum_bytes(out, MARK_CHECKSUM, out + MARK_CHECKSUM);
}

bool volume_is_mark(const uint8_t *bytes, size_t n)
{
	return n >= MAGIC_SIZE && memcmp(bytes, VOLUME_MAGIC, MAGIC_SIZE) == 0;
}

static int check(const struct volume_mark *mark, struct error *err)
{
	DEMAND(mark->kind >= VOLUME_LABEL && mark->kind <= VOLUME_END_LAST, NO_PLACE,
	       "a mark of the tape of kind %u", (unsigned)mark->kind);
	DEMAND(!all_zero(mark->set, UUID_SIZE), NO_PLACE, "a mark of the tape without a set");
	DEMAND(mark->number >= 1 && mark->number <= VOLUME_NUMBER_MAX, NO_PLACE,
	       "a mark of the tape with volume number %u", (unsigned)mark->number);
	DEMAND(mark->record_size >= RECORD_UNIT && mark->record_size <= PADDING_SIZE_MAX &&
		       mark->record_size % RECORD_UNIT == 0,
	       NO_PLACE, "a mark of the tape with records of %u bytes",
	       (unsigned)mark->record_size);
	DEMAND(mark->place <= INT64_MAX, NO_PLACE, "a mark of the tape at no possible place");
	return 0;
}

int volume_parse(const uint8_t bytes[VOLUME_MARK_SIZE], struct volume_mark *out, struct error *err)
{
	uint8_t sum[CHECKSUM_SIZE];
	struct volume_mark mark = {0};

	DEMAND(volume_is_mark(bytes, VOLUME_MARK_SIZE), NO_PLACE, "not a mark of a tape");
	checksum_bytes(bytes, MARK_CHECKSUM, sum);
	DEMAND(memcmp(sum, bytes + MARK_CHECKSUM, CHECKSUM_SIZE) == 0, NO_PLACE,
	       "the label of the tape is damaged");
	SUPPORTED(get_le(bytes + MARK_VERSION, 4) == VOLUME_VERSION, NO_PLACE,
		  "a label of a tape of version %u", (unsigned)get_le(bytes + MARK_VERSION, 4));
	DEMAND(all_zero(bytes + MARK_RESERVED, MARK_CHECKSUM - MARK_RESERVED), NO_PLACE,
	       "reserved bytes in the label of the tape");
	mark.kind = (enum volume_kind)get_le(bytes + MARK_KIND, 4);
	memcpy(mark.set, bytes + MARK_SET, UUID_SIZE);
	memcpy(mark.uuid, bytes + MARK_UUID, UUID_SIZE);
	mark.number = (uint32_t)get_le(bytes + MARK_NUMBER, 4);
	mark.record_size = (uint32_t)get_le(bytes + MARK_RECORD_SIZE, 4);
	mark.place = get_le(bytes + MARK_PLACE, 8);
	mark.written_ns = (int64_t)get_le(bytes + MARK_WRITTEN, 8);
	TRY(check(&mark, err));
	*out = mark;
	return 0;
}
