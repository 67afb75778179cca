/* VMA version 1, in the order of spec/vma1.md. */
#include "format/layout.h"

/* The blob at this position of the buffer, found by walking to it. NULL bytes: there is none. */
static struct text blob_at(struct text buffer, uint32_t position)
{
	uint32_t at = 1;

	while (at <= position && at + 2 <= buffer.length) {
		uint32_t length = (uint32_t)get_le(buffer.bytes + at, 2);
		if (length > buffer.length - at - 2)
			break;
		if (at == position)
			return (struct text){buffer.bytes + at + 2, length};
		at += 2 + length;
	}
	return (struct text){NULL, 0};
}

/* A name has a NUL at its end, and nowhere else. */
static bool parse_name(struct text blob, struct text *out)
{
	if (blob.bytes == NULL || blob.length < 2 || blob.length > 256)
		return false;
	*out = (struct text){blob.bytes, blob.length - 1};
	return memchr(blob.bytes, 0, blob.length) == blob.bytes + out->length;
}

static int parse_configs(const uint8_t *head, struct text blobs, struct archive *out,
			 struct error *err)
{
	for (uint32_t i = 0; i < VMA1_CONFIGS; i++) {
		uint32_t name_at = (uint32_t)get_be(head + VMA1_CONFIG_NAMES + 4 * i, 4);
		uint32_t data_at = (uint32_t)get_be(head + VMA1_CONFIG_DATA + 4 * i, 4);
		if (name_at == 0 || data_at == 0)
			continue;
		struct archive_config *config = &out->configs[out->n_configs++];
		config->data = blob_at(blobs, data_at);
		bool named = parse_name(blob_at(blobs, name_at), &config->name);
		bool good = named && config->data.bytes != NULL;
		DEMAND(good, VMA1_CONFIG_NAMES + 4 * i, "config %u has no name or no data", i);
	}
	return 0;
}

static int parse_devices(const uint8_t *head, struct text blobs, struct archive *out,
			 struct error *err)
{
	for (uint32_t id = 1; id < VMA1_DEVICES; id++) {
		uint32_t at = VMA1_DEVICES_AT + id * VMA1_DEVICE_SIZE;
		struct archive_drive *drive = &out->drives[out->n_drives];
		drive->size_bytes = get_be(head + at + 8, 8);
		if (drive->size_bytes == 0)
			continue;
		struct text name = blob_at(blobs, (uint32_t)get_be(head + at, 4));
		DEMAND(parse_name(name, &drive->name), at, "drive %u without a name", id);
		DEMAND(drive->size_bytes <= VMA1_DRIVE_MAX, at, "the size of drive %u", id);
		out->n_drives++;
		out->drive_of_device[id] = (uint16_t)out->n_drives;
	}
	return 0;
}

/* Seconds to nanoseconds; a time that does not fit becomes the nearest that does. */
static int64_t to_nanoseconds(int64_t seconds)
{
	const int64_t ns_per_s = 1000000000, most = INT64_MAX / ns_per_s;

	if (seconds > most)
		seconds = most;
	if (seconds < -most)
		seconds = -most;
	return seconds * ns_per_s;
}

/* Section 2. */
int vma1_head_parse(uint8_t *head, uint32_t size, struct archive *out, struct error *err)
{
	DEMAND(md5_in_place(head, size, VMA1_MD5), VMA1_MD5, "the checksum of the header is wrong");
	uint32_t version = (uint32_t)get_be(head + VMA1_VERSION, 4);
	uint32_t blobs_at = (uint32_t)get_be(head + VMA1_BLOBS_AT, 4);
	uint32_t blobs_size = (uint32_t)get_be(head + VMA1_BLOBS_SIZE, 4);
	SUPPORTED(version == 1, VMA1_VERSION, "version %u is not supported", version);
	bool within = blobs_at >= VMA1_HEAD_FIXED && blobs_at <= size;
	DEMAND(within, VMA1_BLOBS_AT, "blobs outside the head");
	DEMAND(blobs_size <= size - blobs_at, VMA1_BLOBS_SIZE, "blobs past the end of the head");
	bool checked = memcmp(head + VMA1_MARKER_AT, VMA1_MARKER, VMA1_MARKER_SIZE) == 0;
	struct text blobs = {head + blobs_at, blobs_size};
	out->format = FORMAT_VMA1;
	out->cluster_checksum = checked ? CLUSTER_XXH3_64 : CLUSTER_UNPROTECTED;
	memcpy(out->uuid, head + VMA1_UUID, UUID_SIZE);
	out->created_ns = to_nanoseconds((int64_t)get_be(head + VMA1_CREATED, 8));
	TRY(parse_configs(head, blobs, out, err));
	return parse_devices(head, blobs, out, err);
}

/* Section 3. bytes: of a slot in use. */
static int parse_slot(const struct archive *archive, const uint8_t *bytes, uint64_t place,
		      struct slot *out, struct error *err)
{
	uint32_t drive = archive->drive_of_device[bytes[3]];

	DEMAND(drive != 0, place, "no drive %u", bytes[3]);
	uint64_t size_bytes = archive->drives[drive - 1].size_bytes;
	uint64_t cluster = get_be(bytes + 4, 4);
	uint16_t mask = (uint16_t)get_be(bytes, 2);
	DEMAND(cluster < clusters_of(size_bytes), place, "a cluster past the end of a drive");
	bool old_last = archive->cluster_checksum == CLUSTER_UNPROTECTED && mask == 0xffff;
	uint16_t past_end = (uint16_t)~blocks_in_drive(size_bytes, cluster);
	DEMAND(old_last || (mask & past_end) == 0, place, "blocks past the end of a drive");
	*out = (struct slot){.cluster = cluster, .n_clusters = 1, .drive = drive - 1, .mask = mask};
	return 0;
}

/* Section 5: the bytes of the free slots hold the checksums of the data slots, then zeros. */
static int parse_checksums(const uint8_t *bytes, uint32_t n, struct section *out, struct error *err)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < out->n_slots; i++) {
		if (out->slots[i].mask == 0)
			continue;
		DEMAND(n - at >= 8, out->position, "no room for checksums");
		memcpy(out->slots[i].checksum, bytes + at, 8);
		at += 8;
	}
	DEMAND(all_zero(bytes + at, n - at), out->position, "bytes after the checksums");
	return 0;
}

int vma1_extent_parse(const struct archive *archive, uint8_t *header, struct section *out,
		      struct error *err)
{
	uint8_t free_bytes[VMA1_SLOTS * VMA1_SLOT_FREE];
	uint32_t n_free = 0, n_blocks = 0;
	uint64_t place = out->position;
	bool ours = memcmp(header + EXTENT_UUID, archive->uuid, UUID_SIZE) == 0;

	DEMAND(md5_in_place(header, VMA1_EXTENT_SIZE, EXTENT_MD5), place,
	       "the checksum of a header is wrong");
	DEMAND(ours, place, "an extent of another archive");
	out->kind = SECTION_EXTENT;
	out->codec = CODEC_NONE;
	out->header_size = VMA1_EXTENT_SIZE;
	out->n_slots = 0;
	for (uint32_t i = 0; i < VMA1_SLOTS; i++) {
		const uint8_t *bytes = header + EXTENT_SLOTS + i * VMA1_SLOT_SIZE;
		struct slot *slot = &out->slots[out->n_slots];
		if (bytes[3] == 0) {
			memcpy(free_bytes + n_free, bytes, 3);
			memcpy(free_bytes + n_free + 3, bytes + 4, 4);
			n_free += VMA1_SLOT_FREE;
			continue;
		}
		TRY(parse_slot(archive, bytes, place, slot, err));
		n_blocks += (uint32_t)__builtin_popcount(slot->mask);
		out->n_slots++;
	}
	DEMAND(n_blocks == get_be(header + EXTENT_N_BLOCKS, 2), place, "wrong number of blocks");
	out->raw_size = out->stored_size = out->padded_size = n_blocks * BLOCK_SIZE;
	if (archive->cluster_checksum == CLUSTER_UNPROTECTED)
		return 0;
	return parse_checksums(free_bytes, n_free, out, err);
}
