/*
 * Walks an archive by its own length fields, as a reader would that checks nothing, and writes each
 * checksum anew: of clusters, of payloads, of headers, in that order. What is in a compressed
 * payload is left alone: its checksum and that of the clusters in it no longer fit, or both do.
 */
#include "tests/unit/repair.h"
#include "format/layout.h"

static bool is_vmab(const uint8_t *bytes)
{
	return memcmp(bytes, VMAB_MAGIC, 8) == 0;
}

void repair_head(uint8_t *bytes, size_t size)
{
	if (size >= VMA1_HEAD_FIXED && memcmp(bytes, VMA1_MAGIC, 4) == 0)
		md5_in_place(bytes, size, VMA1_MD5);
	else if (size >= SECTOR_SIZE)
		checksum_in_place(bytes, size, HEAD_CHECKSUM);
}

/* The bytes of a cluster whose stored blocks begin here; returns how many blocks there are, or none
 * if they are not all there. */
static uint32_t gather(uint16_t mask, const uint8_t *blocks, size_t size, uint8_t *cluster)
{
	uint32_t n = 0;
	if ((uint32_t)__builtin_popcount(mask) * BLOCK_SIZE > size)
		return 0;
	memset(cluster, 0, CLUSTER_SIZE);
	for (uint32_t j = 0; j < CLUSTER_BLOCKS; j++)
		if ((mask >> j & 1) != 0)
			memcpy(cluster + j * BLOCK_SIZE, blocks + n++ * BLOCK_SIZE, BLOCK_SIZE);
	return n;
}

static void repair_vmab_clusters(uint8_t *header, uint32_t n_slots, size_t size)
{
	static uint8_t cluster[CLUSTER_SIZE];
	size_t header_size = ROUND_UP(SECTION_AT_SLOTS + n_slots * VMAB_SLOT_SIZE, SECTOR_SIZE);
	for (uint32_t i = 0, at = 0; i < n_slots; i++) {
		uint8_t *slot = header + SECTION_AT_SLOTS + i * VMAB_SLOT_SIZE;
		uint16_t mask = (uint16_t)get_le(slot + SLOT_MASK, 2);
		uint32_t n =
			gather(mask, header + header_size + at, size - header_size - at, cluster);
		if (n == 0 || get_le(slot + SLOT_TYPE, 2) != SLOT_TYPE_DATA)
			continue;
		checksum_bytes(cluster, CLUSTER_SIZE, slot + SLOT_CHECKSUM);
		at += n * BLOCK_SIZE;
	}
}

/* Returns how long the section is; 0: it goes past the end. */
static size_t repair_vmab_section(uint8_t *header, size_t size)
{
	uint32_t n_slots = (uint32_t)get_le(header + SECTION_AT_N_SLOTS, 4);
	uint32_t stored = (uint32_t)get_le(header + SECTION_AT_STORED_SIZE, 4);
	if (n_slots > SLOTS_MAX || stored > PAYLOAD_SIZE_MAX)
		return 0;
	size_t header_size = ROUND_UP(SECTION_AT_SLOTS + n_slots * VMAB_SLOT_SIZE, SECTOR_SIZE);
	size_t payload_size = ROUND_UP(stored, SECTOR_SIZE);
	if (header_size > size)
		return 0;
	bool whole = payload_size <= size - header_size;
	if (whole && get_le(header + SECTION_AT_KIND, 2) == SECTION_EXTENT &&
	    get_le(header + SECTION_AT_CODEC, 2) == CODEC_NONE)
		repair_vmab_clusters(header, n_slots, header_size + payload_size);
	if (whole)
		checksum_bytes(header + header_size, payload_size,
			       header + SECTION_AT_PAYLOAD_CHECKSUM);
	checksum_in_place(header, header_size, SECTION_AT_CHECKSUM);
	return whole ? header_size + payload_size : 0;
}

/* The n-th of the bytes that unused slots have for checksums; NULL: there are not so many. */
static uint8_t *free_byte(uint8_t *header, uint32_t n)
{
	for (uint32_t i = 0; i < VMA1_SLOTS; i++) {
		uint8_t *slot = header + EXTENT_SLOTS + i * VMA1_SLOT_SIZE;
		if (slot[3] != 0)
			continue;
		if (n < 7)
			return slot + n + (n >= 3);
		n -= 7;
	}
	return NULL;
}

static size_t repair_vma1_extent(uint8_t *header, size_t size, bool checksums)
{
	static uint8_t cluster[CLUSTER_SIZE];
	uint8_t sum[CHECKSUM_SIZE], *to;
	size_t at = VMA1_EXTENT_SIZE;
	size_t end = at + get_be(header + EXTENT_N_BLOCKS, 2) * BLOCK_SIZE;
	for (uint32_t i = 0, n_free = 0; i < VMA1_SLOTS && checksums && end <= size; i++) {
		const uint8_t *slot = header + EXTENT_SLOTS + i * VMA1_SLOT_SIZE;
		uint16_t mask = (uint16_t)get_be(slot, 2);
		uint32_t n = slot[3] == 0 ? 0 : gather(mask, header + at, end - at, cluster);
		if (n == 0)
			continue;
		checksum_cluster(CLUSTER_XXH3_64, cluster, sum);
		for (uint32_t j = 0; j < 8; j++)
			if ((to = free_byte(header, n_free++)) != NULL)
				*to = sum[j];
		at += n * BLOCK_SIZE;
	}
	md5_in_place(header, VMA1_EXTENT_SIZE, EXTENT_MD5);
	return end <= size ? end : 0;
}

static size_t repair_any_section(uint8_t *bytes, size_t size, bool checksums)
{
	if (size < SECTOR_SIZE)
		return 0;
	if (memcmp(bytes, VMAB_SECTION_MAGIC, 8) == 0)
		return repair_vmab_section(bytes, size);
	if (memcmp(bytes, VMA1_EXTENT_MAGIC, 4) == 0)
		return repair_vma1_extent(bytes, size, checksums);
	return 0;
}

void repair_section(uint8_t *bytes, size_t size)
{
	repair_any_section(bytes, size, false);
}

void repair_archive(uint8_t *bytes, size_t size)
{
	if (size < SECTOR_SIZE)
		return;
	bool vmab = is_vmab(bytes);
	size_t at = vmab ? (size_t)get_le(bytes + HEAD_SIZE, 4)
			 : (size_t)get_be(bytes + VMA1_HEAD_SIZE, 4);
	if (at > size)
		return;
	repair_head(bytes, at);
	bool checksums =
		!vmab && memcmp(bytes + VMA1_MARKER_AT, VMA1_MARKER, VMA1_MARKER_SIZE) == 0;
	for (size_t n = 1; n > 0 && at < size; at += n)
		n = repair_any_section(bytes + at, size - at, checksums);
}
