/* spec/vmab.md, as written. */
#include "format/layout.h"
#include "format/drive_marks.h"

#include <assert.h>

static uint64_t text_size(const struct text *text)
{
	return text->length != 0 ? vmab_record_size(text->length) : 0;
}

/* In 64 bits: the caller judges it against the limit. */
static uint64_t records_size(const struct archive *archive)
{
	uint64_t size = text_size(&archive->note) + text_size(&archive->checkpoint) +
			text_size(&archive->parent_checkpoint) +
			drive_marks_copy(archive->records, NULL);

	for (uint32_t i = 0; i < archive->n_drives; i++)
		size += vmab_record_size(DRIVE_NAME + archive->drives[i].name.length);
	for (uint32_t i = 0; i < archive->n_configs; i++)
		size += vmab_record_size((uint64_t)CONFIG_NAME + archive->configs[i].name.length +
					 archive->configs[i].data.length);
	return size;
}

int vmab_archive_check(const struct archive *archive, struct error *err)
{
	if (archive->checkpoint.length > 255 || archive->parent_checkpoint.length > 255)
		return fail(err, ERR_USAGE, "the name of a checkpoint is longer than 255 bytes");
	for (uint32_t i = 0; i < archive->n_drives; i++)
		if (archive->drives[i].size_bytes > INT64_MAX)
			return fail(err, ERR_USAGE, "drive @%u is larger than 2^63 - 1 bytes",
				    i + 1);
	if (HEAD_RECORDS + records_size(archive) > HEAD_SIZE_MAX)
		return fail(err, ERR_USAGE, "configs and names need more than %u MiB",
			    HEAD_SIZE_MAX >> 20);
	return 0;
}

uint32_t vmab_head_size(const struct archive *archive)
{
	return (uint32_t)ROUND_UP(HEAD_RECORDS + records_size(archive), SECTOR_SIZE);
}

/* Returns where the value goes; *at moves past the record. The bytes are zero before. */
static uint8_t *put_record(uint8_t **at, uint16_t type, uint32_t length)
{
	uint8_t *value = *at + RECORD_HEADER;

	put_le(*at, 2, type);
	put_le(*at + 4, 4, length);
	*at += vmab_record_size(length);
	return value;
}

static void put_text(uint8_t **at, uint16_t type, const struct text *text)
{
	if (text->length != 0)
		memcpy(put_record(at, type, text->length), text->bytes, text->length);
}

static void put_drive(uint8_t **at, const struct archive_drive *drive)
{
	uint8_t *value = put_record(at, RECORD_DRIVE, DRIVE_NAME + drive->name.length);

	put_le(value, 8, drive->size_bytes);
	memcpy(value + DRIVE_NAME, drive->name.bytes, drive->name.length);
}

static void put_config(uint8_t **at, const struct archive_config *config)
{
	uint32_t name_length = config->name.length;
	uint8_t *value =
		put_record(at, RECORD_CONFIG, CONFIG_NAME + name_length + config->data.length);

	put_le(value, 2, name_length);
	memcpy(value + CONFIG_NAME, config->name.bytes, name_length);
	if (config->data.length != 0)
		memcpy(value + CONFIG_NAME + name_length, config->data.bytes, config->data.length);
}

void vmab_head_build(const struct archive *archive, uint8_t *out)
{
	uint32_t size = vmab_head_size(archive);
	uint8_t *at = out + HEAD_RECORDS;

	memset(out, 0, size);
	memcpy(out, VMAB_MAGIC, 8);
	put_le(out + HEAD_VERSION, 4, VMAB_VERSION);
	put_le(out + HEAD_SIZE, 4, size);
	memcpy(out + HEAD_UUID, archive->uuid, UUID_SIZE);
	memcpy(out + HEAD_PARENT, archive->parent, UUID_SIZE);
	put_le(out + HEAD_CREATED, 8, (uint64_t)archive->created_ns);
	put_le(out + HEAD_RECORDS_SIZE, 4, records_size(archive));
	for (uint32_t i = 0; i < archive->n_drives; i++)
		put_drive(&at, &archive->drives[i]);
	for (uint32_t i = 0; i < archive->n_configs; i++)
		put_config(&at, &archive->configs[i]);
	put_text(&at, RECORD_NOTE, &archive->note);
	put_text(&at, RECORD_CHECKPOINT, &archive->checkpoint);
	put_text(&at, RECORD_PARENT_CHECKPOINT, &archive->parent_checkpoint);
	at += drive_marks_copy(archive->records, at);
	assert(at <= out + size);
	checksum_in_place(out, size, HEAD_CHECKSUM);
}

static void put_slot(const struct slot *slot, uint8_t *out)
{
	put_le(out + SLOT_CLUSTER, 8, slot->cluster);
	put_le(out + SLOT_DRIVE, 4, slot->drive);
	put_le(out + SLOT_TYPE, 2, slot->mask != 0 ? SLOT_TYPE_DATA : SLOT_TYPE_ZEROS);
	put_le(out + SLOT_MASK, 2, slot->mask);
	if (slot->mask != 0)
		memcpy(out + SLOT_CHECKSUM, slot->checksum, CHECKSUM_SIZE);
	else
		put_le(out + SLOT_CHECKSUM, 8, slot->n_clusters);
}

static void put_totals(const struct totals *totals, uint8_t *header)
{
	put_le(header + TAIL_ARCHIVE_SIZE, 8, totals->archive_size);
	put_le(header + TAIL_N_SECTIONS, 8, totals->n_sections);
	put_le(header + TAIL_N_DATA, 8, totals->n_data);
	put_le(header + TAIL_N_ZERO, 8, totals->n_zero);
	put_le(header + TAIL_RAW_SIZE, 8, totals->raw_size);
	put_le(header + TAIL_HEAD_COPY_AT, 8, totals->head_copy_at);
}

void vmab_section_build(const struct archive *archive, const struct section *section, uint8_t *out)
{
	uint32_t size = vmab_header_size(section->n_slots);

	assert(section->n_slots <= SLOTS_MAX);
	memset(out, 0, size);
	memcpy(out, VMAB_SECTION_MAGIC, 8);
	memcpy(out + SECTION_AT_UUID, archive->uuid, UUID_SIZE);
	put_le(out + SECTION_AT_SEQUENCE, 8, section->sequence);
	put_le(out + SECTION_AT_POSITION, 8, section->position);
	put_le(out + SECTION_AT_PREVIOUS_INDEX, 8, section->previous_index);
	put_le(out + SECTION_AT_KIND, 2, section->kind);
	put_le(out + SECTION_AT_CODEC, 2, section->codec);
	put_le(out + SECTION_AT_N_SLOTS, 4, section->n_slots);
	put_le(out + SECTION_AT_RAW_SIZE, 4, section->raw_size);
	put_le(out + SECTION_AT_STORED_SIZE, 4, section->stored_size);
	memcpy(out + SECTION_AT_PAYLOAD_CHECKSUM, section->checksum, CHECKSUM_SIZE);
	for (uint32_t i = 0; i < section->n_slots; i++)
		put_slot(&section->slots[i], out + SECTION_AT_SLOTS + i * VMAB_SLOT_SIZE);
	if (section->kind == SECTION_TAIL)
		put_totals(&section->totals, out);
	checksum_in_place(out, size, SECTION_AT_CHECKSUM);
}
