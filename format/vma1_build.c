/* spec/vma1.md, as written: section 4 is what archive_check holds us to. */
#include "format/layout.h"

#include "base/bytes.h"

#include <assert.h>

#define HEAD_LIMIT 524288u /* of the genuine tool */
#define BLOB_MAX   65535u
#define DRIVES	   254u

static uint64_t blobs_size(const struct archive *archive)
{
	uint64_t size = 1;

	for (uint32_t i = 0; i < archive->n_configs; i++)
		size += 2 + archive->configs[i].name.length + 1 + 2 +
			archive->configs[i].data.length;
	for (uint32_t i = 0; i < archive->n_drives; i++)
		size += 2 + archive->drives[i].name.length + 1;
	return size;
}

static int check_drive(const struct archive_drive *drive, struct error *err)
{
	char shown[64];

	escape_text(shown, sizeof(shown), drive->name.bytes, drive->name.length);
	if (memchr(drive->name.bytes, '/', drive->name.length) != NULL)
		return fail(err, ERR_USAGE, "drive name '%s' has a slash: not possible in VMA",
			    shown);
	if (drive->size_bytes == 0)
		return fail(err, ERR_USAGE, "drive %s is empty: not possible in VMA", shown);
	if (drive->size_bytes % SECTOR_SIZE != 0)
		return fail(err, ERR_USAGE,
			    "drive %s is not a multiple of 512 bytes: not possible in VMA", shown);
	if (drive->size_bytes > VMA1_DRIVE_MAX)
		return fail(err, ERR_USAGE, "drive %s is larger than the 256 TiB of VMA", shown);
	return 0;
}

int vma1_archive_check(const struct archive *archive, struct error *err)
{
	char shown[64];

	if (!all_zero(archive->parent, UUID_SIZE))
		return fail(err, ERR_USAGE, "VMA cannot hold an incremental archive");
	if (archive->n_drives > DRIVES || archive->n_configs > VMA1_CONFIGS)
		return fail(err, ERR_USAGE,
			    "VMA has room for %u drives and %u configs, not %u and %u", DRIVES,
			    VMA1_CONFIGS, archive->n_drives, archive->n_configs);
	for (uint32_t i = 0; i < archive->n_drives; i++)
		TRY(check_drive(&archive->drives[i], err));
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		const struct archive_config *config = &archive->configs[i];
		escape_text(shown, sizeof(shown), config->name.bytes, config->name.length);
		if (memchr(config->name.bytes, '/', config->name.length) != NULL)
			return fail(err, ERR_USAGE,
				    "config name '%s' has a slash: not possible in VMA", shown);
		if (config->data.length > BLOB_MAX)
			return fail(err, ERR_USAGE, "config %s has %u bytes: VMA has room for %u",
				    shown, config->data.length, BLOB_MAX);
	}
	if (VMA1_HEAD_FIXED + blobs_size(archive) > HEAD_LIMIT)
		return fail(err, ERR_USAGE,
			    "the configs together need %llu bytes: VMA has room for %u",
			    (unsigned long long)blobs_size(archive), HEAD_LIMIT - VMA1_HEAD_FIXED);
	return 0;
}

uint32_t vma1_head_size(const struct archive *archive)
{
	return (uint32_t)ROUND_UP(VMA1_HEAD_FIXED + blobs_size(archive), SECTOR_SIZE);
}

/* Returns the position of the blob; *at moves past it. A name gets its NUL. */
static uint32_t put_blob(uint8_t *blobs, uint32_t *at, const struct text *text, bool is_name)
{
	uint32_t position = *at, length = text->length + (is_name ? 1 : 0);

	put_le(blobs + position, 2, length);
	if (text->length != 0)
		memcpy(blobs + position + 2, text->bytes, text->length);
	*at += 2 + length;
	return position;
}

void vma1_head_build(const struct archive *archive, uint8_t *out)
{
	uint32_t size = vma1_head_size(archive), at = 1;
	uint8_t *blobs = out + VMA1_HEAD_FIXED;
	int64_t ns_in_s = 1000000000;
	int64_t seconds = archive->created_ns / ns_in_s - (archive->created_ns % ns_in_s < 0);

	memset(out, 0, size);
	memcpy(out, VMA1_MAGIC, 4);
	put_be(out + VMA1_VERSION, 4, 1);
	memcpy(out + VMA1_UUID, archive->uuid, UUID_SIZE);
	put_be(out + VMA1_CREATED, 8, (uint64_t)seconds);
	put_be(out + VMA1_BLOBS_AT, 4, VMA1_HEAD_FIXED);
	put_be(out + VMA1_HEAD_SIZE, 4, size);
	if (archive->cluster_checksum != CLUSTER_UNPROTECTED)
		memcpy(out + VMA1_MARKER_AT, VMA1_MARKER, VMA1_MARKER_SIZE);
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		const struct archive_config *config = &archive->configs[i];
		put_be(out + VMA1_CONFIG_NAMES + 4 * i, 4,
		       put_blob(blobs, &at, &config->name, true));
		put_be(out + VMA1_CONFIG_DATA + 4 * i, 4,
		       put_blob(blobs, &at, &config->data, false));
	}
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		uint8_t *device = out + VMA1_DEVICES_AT + (i + 1) * VMA1_DEVICE_SIZE;
		put_be(device, 4, put_blob(blobs, &at, &archive->drives[i].name, true));
		put_be(device + 8, 8, archive->drives[i].size_bytes);
	}
	put_be(out + VMA1_BLOBS_SIZE, 4, at);
	md5_in_place(out, size, VMA1_MD5);
}

/* The i-th byte of those that the free slots have beside their byte 3, the device id 0. */
static uint8_t *free_byte(uint8_t *free_slots, uint32_t i)
{
	uint32_t in_slot = i % VMA1_SLOT_FREE;

	return free_slots + i / VMA1_SLOT_FREE * VMA1_SLOT_SIZE + in_slot + (in_slot >= 3 ? 1 : 0);
}

/* The checksums of the data slots go to the free slots. */
static void put_checksums(const struct section *section, uint8_t *free_slots)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < section->n_slots; i++)
		for (uint32_t j = 0; section->slots[i].mask != 0 && j < 8; j++, at++)
			*free_byte(free_slots, at) = section->slots[i].checksum[j];
	assert(at <= (VMA1_SLOTS - section->n_slots) * VMA1_SLOT_FREE);
}

void vma1_extent_build(const struct archive *archive, const struct section *section, uint8_t *out)
{
	assert(section->n_slots <= VMA1_SLOTS);
	memset(out, 0, VMA1_EXTENT_SIZE);
	memcpy(out, VMA1_EXTENT_MAGIC, 6);
	put_be(out + EXTENT_N_BLOCKS, 2, section->raw_size / BLOCK_SIZE);
	memcpy(out + EXTENT_UUID, archive->uuid, UUID_SIZE);
	uint8_t *slot = out + EXTENT_SLOTS;
	for (uint32_t i = 0; i < section->n_slots; i++, slot += VMA1_SLOT_SIZE) {
		put_be(slot, 2, section->slots[i].mask);
		slot[3] = (uint8_t)(section->slots[i].drive + 1);
		put_be(slot + 4, 4, section->slots[i].cluster);
	}
	if (archive->cluster_checksum != CLUSTER_UNPROTECTED)
		put_checksums(section, slot);
	md5_in_place(out, VMA1_EXTENT_SIZE, EXTENT_MD5);
}
