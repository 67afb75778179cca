/* VMAB, in the order of spec/vmab.md. */
#include "format/layout.h"

static bool is_name(struct text text)
{
	return text.length >= 1 && text.length <= 255 && memchr(text.bytes, 0, text.length) == NULL;
}

/* Section 4.1. The value lies within the head; place is the position of its record. */
static int parse_drive(struct text value, uint64_t place, struct archive *out, struct error *err)
{
	DEMAND(out->n_drives < DRIVES_MAX, place, "more than %u drives", DRIVES_MAX);
	DEMAND(value.length > DRIVE_NAME, place, "a drive without a name");
	struct text name = {value.bytes + DRIVE_NAME, value.length - DRIVE_NAME};
	DEMAND(is_name(name), place, "a drive with a bad name");
	uint64_t size_bytes = get_le(value.bytes, 8);
	DEMAND(size_bytes <= INT64_MAX, place, "the size of a drive");
	DEMAND(all_zero(value.bytes + 8, 8), place, "reserved bytes of a drive are not zero");
	out->drives[out->n_drives++] = (struct archive_drive){name, size_bytes};
	return 0;
}

static int parse_config(struct text value, uint64_t place, struct archive *out, struct error *err)
{
	DEMAND(out->n_configs < CONFIGS_MAX, place, "more than %u configs", CONFIGS_MAX);
	DEMAND(value.length >= CONFIG_NAME, place, "a config of %u bytes", value.length);
	DEMAND(all_zero(value.bytes + 2, 6), place, "reserved bytes of a config are not zero");
	struct text name = {value.bytes + CONFIG_NAME, (uint32_t)get_le(value.bytes, 2)};
	uint32_t room = value.length - CONFIG_NAME;
	DEMAND(name.length <= room && is_name(name), place, "a config without a name");
	struct text data = {name.bytes + name.length, room - name.length};
	out->configs[out->n_configs++] = (struct archive_config){name, data};
	return 0;
}

static int parse_record(uint32_t type, struct text value, uint64_t place, struct archive *out,
			struct error *err)
{
	struct text *texts[] = {&out->note, &out->checkpoint, &out->parent_checkpoint};

	if (type == RECORD_DRIVE)
		return parse_drive(value, place, out, err);
	if (type == RECORD_CONFIG)
		return parse_config(value, place, out, err);
	if (type >= RECORD_IGNORABLE)
		return 0;
	bool known = type >= RECORD_NOTE && type <= RECORD_PARENT_CHECKPOINT;
	SUPPORTED(known, place, "records of type %u are not supported", type);
	bool named = type == RECORD_NOTE || is_name(value);
	DEMAND(named, place, "a checkpoint without a name");
	struct text *text = texts[type - RECORD_NOTE];
	DEMAND(text->bytes == NULL, place, "two records of type %u", type);
	*text = value;
	return 0;
}

static int parse_records(const uint8_t *head, uint32_t end, struct archive *out, struct error *err)
{
	uint32_t at = HEAD_RECORDS;

	while (at < end) {
		DEMAND(end - at >= RECORD_HEADER, at, "a record is cut short");
		uint32_t type = (uint32_t)get_le(head + at, 2);
		uint32_t length = (uint32_t)get_le(head + at + 4, 4);
		struct text value = {head + at + RECORD_HEADER, length};
		uint32_t padding = (8 - length % 8) % 8, room = end - at - RECORD_HEADER;
		DEMAND(length <= room && padding <= room - length, at, "a record is cut short");
		bool clean = all_zero(head + at + 2, 2) && all_zero(value.bytes + length, padding);
		DEMAND(clean, at, "reserved bytes or padding of a record are not zero");
		TRY(parse_record(type, value, at, out, err));
		at += RECORD_HEADER + length + padding;
	}
	return 0;
}

/* Section 4, in the order of its item 2. */
int vmab_head_parse(uint8_t *head, uint32_t size, struct archive *out, struct error *err)
{
	uint32_t version = (uint32_t)get_le(head + HEAD_VERSION, 4);
	uint64_t features = get_le(head + HEAD_REQUIRED, 8);
	uint64_t end = HEAD_RECORDS + get_le(head + HEAD_RECORDS_SIZE, 4);

	DEMAND(checksum_in_place(head, size, HEAD_CHECKSUM), HEAD_CHECKSUM, "wrong head checksum");
	SUPPORTED(version == VMAB_VERSION, HEAD_VERSION, "version %u is not supported", version);
	SUPPORTED(features == 0, HEAD_REQUIRED, "a required feature is not supported");
	DEMAND(all_zero(head + HEAD_RESERVED, HEAD_CHECKSUM - HEAD_RESERVED), HEAD_RESERVED,
	       "reserved bytes are not zero");
	DEMAND(!all_zero(head + HEAD_UUID, UUID_SIZE), HEAD_UUID, "the uuid is zero");
	DEMAND(end <= size, HEAD_RECORDS_SIZE, "records past the end of the head");
	DEMAND(all_zero(head + end, size - end), end, "padding that is not zero");
	out->format = FORMAT_VMAB;
	out->cluster_checksum = CLUSTER_XXH3_128;
	memcpy(out->uuid, head + HEAD_UUID, UUID_SIZE);
	memcpy(out->parent, head + HEAD_PARENT, UUID_SIZE);
	out->created_ns = (int64_t)get_le(head + HEAD_CREATED, 8);
	out->records = (struct text){head + HEAD_RECORDS, (uint32_t)end - HEAD_RECORDS};
	return parse_records(head, (uint32_t)end, out, err);
}

/* Section 5.1. */
static int parse_slot(const struct archive *archive, const uint8_t *bytes, uint64_t place,
		      struct slot *out, struct error *err)
{
	out->cluster = get_le(bytes + SLOT_CLUSTER, 8);
	out->drive = (uint32_t)get_le(bytes + SLOT_DRIVE, 4);
	out->mask = (uint16_t)get_le(bytes + SLOT_MASK, 2);
	out->n_clusters = 1;
	memcpy(out->checksum, bytes + SLOT_CHECKSUM, CHECKSUM_SIZE);
	DEMAND(out->drive < archive->n_drives, place, "no drive %u", out->drive);
	uint64_t size_bytes = archive->drives[out->drive].size_bytes;
	uint64_t n_clusters = clusters_of(size_bytes);
	DEMAND(out->cluster < n_clusters, place, "a cluster past the end of drive %u", out->drive);
	uint64_t type = get_le(bytes + SLOT_TYPE, 2);
	if (type == SLOT_TYPE_DATA) {
		uint16_t past_end = (uint16_t)~blocks_in_drive(size_bytes, out->cluster);
		bool valid = out->mask != 0 && (out->mask & past_end) == 0;
		DEMAND(valid, place, "a data slot without blocks, or with some past the end");
		return 0;
	}
	DEMAND(type == SLOT_TYPE_ZEROS, place, "a slot of an unknown type");
	out->n_clusters = get_le(bytes + SLOT_CHECKSUM, 8);
	bool within = out->n_clusters != 0 && out->n_clusters <= n_clusters - out->cluster;
	bool plain = out->mask == 0 && all_zero(bytes + SLOT_CHECKSUM + 8, 8);
	DEMAND(within, place, "a run of no clusters, or past the end of a drive");
	DEMAND(plain, place, "a zeros slot with blocks, or reserved bytes that are not zero");
	return 0;
}

static int parse_extent(const struct archive *archive, const uint8_t *header, struct section *out,
			struct error *err)
{
	uint64_t place = out->position;
	uint32_t n_blocks = 0;

	DEMAND(out->n_slots > 0, place, "an extent without slots");
	for (uint32_t i = 0; i < out->n_slots; i++) {
		const uint8_t *bytes = header + SECTION_AT_SLOTS + i * VMAB_SLOT_SIZE;
		TRY(parse_slot(archive, bytes, place, &out->slots[i], err));
		n_blocks += (uint32_t)__builtin_popcount(out->slots[i].mask);
	}
	bool smaller = out->stored_size < out->raw_size;
	bool same = out->stored_size == out->raw_size;
	DEMAND(out->raw_size == n_blocks * BLOCK_SIZE, place, "slots and size do not agree");
	DEMAND(out->codec == CODEC_ZSTD ? smaller : same, place, "codec and sizes do not agree");
	return 0;
}

/* Section 5.5. A header of a sector has room for it. */
static void parse_totals(const uint8_t *header, struct totals *out)
{
	out->archive_size = get_le(header + TAIL_ARCHIVE_SIZE, 8);
	out->n_sections = get_le(header + TAIL_N_SECTIONS, 8);
	out->n_data = get_le(header + TAIL_N_DATA, 8);
	out->n_zero = get_le(header + TAIL_N_ZERO, 8);
	out->raw_size = get_le(header + TAIL_RAW_SIZE, 8);
	out->head_copy_at = get_le(header + TAIL_HEAD_COPY_AT, 8);
}

/* Section 5, the table of kinds. */
static int parse_kind(const struct archive *archive, const uint8_t *header, struct section *out,
		      struct error *err)
{
	uint32_t used = SECTION_AT_SLOTS + out->n_slots * VMAB_SLOT_SIZE, max = PAYLOAD_SIZE_MAX;
	uint64_t place = out->position;

	if (out->kind >= SECTION_ANCILLARY)
		return 0;
	bool known = out->kind >= SECTION_EXTENT && out->kind <= SECTION_TAIL;
	SUPPORTED(known, place, "a section of kind %u is not supported", out->kind);
	SUPPORTED(out->codec <= CODEC_ZSTD, place, "codec %u is not supported", out->codec);
	if (out->kind == SECTION_TAIL) {
		parse_totals(header, &out->totals);
		used = TAIL_RESERVED;
		max = 0;
	}
	DEMAND(all_zero(header + used, out->header_size - used), place, "padding that is not zero");
	if (out->kind == SECTION_EXTENT)
		return parse_extent(archive, header, out, err);
	if (out->kind == SECTION_INDEX)
		max = INDEX_ENTRIES_MAX * INDEX_ENTRY_SIZE;
	bool plain = out->codec == CODEC_NONE && out->stored_size == out->raw_size;
	bool sized = out->raw_size <= max && (out->raw_size == 0) == (max == 0);
	bool whole = out->kind != SECTION_INDEX || out->raw_size % INDEX_ENTRY_SIZE == 0;
	DEMAND(out->n_slots == 0, place, "slots in a section of kind %u", out->kind);
	DEMAND(plain && sized && whole, place, "a wrong payload for kind %u", out->kind);
	return 0;
}

int vmab_section_parse(const struct archive *archive, uint8_t *header, struct section *out,
		       struct error *err)
{
	uint64_t place = out->position;

	out->n_slots = (uint32_t)get_le(header + SECTION_AT_N_SLOTS, 4);
	out->header_size = vmab_header_size(out->n_slots);
	out->sequence = get_le(header + SECTION_AT_SEQUENCE, 8);
	out->previous_index = get_le(header + SECTION_AT_PREVIOUS_INDEX, 8);
	out->kind = (uint32_t)get_le(header + SECTION_AT_KIND, 2);
	out->codec = (uint32_t)get_le(header + SECTION_AT_CODEC, 2);
	out->raw_size = (uint32_t)get_le(header + SECTION_AT_RAW_SIZE, 4);
	out->stored_size = (uint32_t)get_le(header + SECTION_AT_STORED_SIZE, 4);
	out->padded_size = ROUND_UP(out->stored_size, SECTOR_SIZE);
	memcpy(out->checksum, header + SECTION_AT_PAYLOAD_CHECKSUM, CHECKSUM_SIZE);
	bool same = checksum_in_place(header, out->header_size, SECTION_AT_CHECKSUM);
	bool ours = memcmp(header + SECTION_AT_UUID, archive->uuid, UUID_SIZE) == 0;
	bool fits = out->raw_size <= PAYLOAD_SIZE_MAX && out->stored_size <= PAYLOAD_SIZE_MAX;
	DEMAND(same, place, "the checksum of a header is wrong");
	DEMAND(ours, place, "a section of another archive");
	DEMAND(get_le(header + SECTION_AT_POSITION, 8) == place, place, "a section out of place");
	DEMAND(all_zero(header + SECTION_AT_RESERVED, SECTION_AT_CHECKSUM - SECTION_AT_RESERVED),
	       place, "reserved bytes are not zero");
	DEMAND(fits, place, "a payload of %u bytes, %u stored", out->raw_size, out->stored_size);
	return parse_kind(archive, header, out, err);
}
