/*
 * Where the fields of an archive lie, and what the two formats offer to parse.c and build.c.
 * Private to format/.
 *
 * A structure on disk is a byte array: an enum names the offset of each field, the spec section
 * given has its size and meaning, and assertions hold the offsets against each other.
 */
#ifndef FORMAT_LAYOUT_H
#define FORMAT_LAYOUT_H

#include "base/bytes.h"
#include "format/format.h"

#include <assert.h>

#define ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))

/* spec/vmab.md section 4 */
#define VMAB_MAGIC   "\x89VMB\r\n\x1a\n"
#define VMAB_VERSION 1u
enum vmab_head {
	HEAD_VERSION = 0x08,
	HEAD_SIZE = 0x0c,
	HEAD_REQUIRED = 0x10,
	HEAD_OPTIONAL = 0x18,
	HEAD_UUID = 0x20,
	HEAD_PARENT = 0x30,
	HEAD_CREATED = 0x40,
	HEAD_RECORDS_SIZE = 0x48,
	HEAD_RESERVED = 0x4c,
	HEAD_CHECKSUM = 0x70,
	HEAD_RECORDS = 0x80,
};
static_assert(HEAD_PARENT == HEAD_UUID + UUID_SIZE && HEAD_CREATED == HEAD_PARENT + UUID_SIZE &&
		      HEAD_RECORDS == HEAD_CHECKSUM + CHECKSUM_SIZE,
	      "spec/vmab.md section 4");

/* section 4.1; a record has 8 bytes before its value */
enum vmab_record {
	RECORD_DRIVE = 1,
	RECORD_CONFIG = 2,
	RECORD_NOTE = 3,
	RECORD_CHECKPOINT = 4,
	RECORD_PARENT_CHECKPOINT = 5,
	RECORD_IGNORABLE = 0x8000,
	RECORD_TOKEN = 0x8001,
	RECORD_PROOF = 0x8002,
	RECORD_LEFT_OUT = 0x8003,
};
#define RECORD_HEADER 8u
#define DRIVE_NAME    16u /* in the value of a drive: size, reserved, name */
#define CONFIG_NAME   8u  /* in the value of a config: length, reserved, name, data */

/* section 5 */
#define VMAB_SECTION_MAGIC "VMABSECT"
enum vmab_section {
	SECTION_AT_UUID = 0x08,
	SECTION_AT_SEQUENCE = 0x18,
	SECTION_AT_POSITION = 0x20,
	SECTION_AT_PREVIOUS_INDEX = 0x28,
	SECTION_AT_KIND = 0x30,
	SECTION_AT_CODEC = 0x32,
	SECTION_AT_N_SLOTS = 0x34,
	SECTION_AT_RAW_SIZE = 0x38,
	SECTION_AT_STORED_SIZE = 0x3c,
	SECTION_AT_PAYLOAD_CHECKSUM = 0x40,
	SECTION_AT_RESERVED = 0x50,
	SECTION_AT_CHECKSUM = 0x70,
	SECTION_AT_SLOTS = 0x80,
};
static_assert(SECTION_AT_SEQUENCE == SECTION_AT_UUID + UUID_SIZE &&
		      SECTION_AT_RESERVED == SECTION_AT_PAYLOAD_CHECKSUM + CHECKSUM_SIZE &&
		      SECTION_AT_SLOTS == SECTION_AT_CHECKSUM + CHECKSUM_SIZE,
	      "spec/vmab.md section 5");

/* section 5.1 */
enum vmab_slot {
	SLOT_CLUSTER = 0x00,
	SLOT_DRIVE = 0x08,
	SLOT_TYPE = 0x0c,
	SLOT_MASK = 0x0e,
	SLOT_CHECKSUM = 0x10, /* or the number of clusters */
	VMAB_SLOT_SIZE = 0x20,
};
#define SLOT_TYPE_DATA	1u
#define SLOT_TYPE_ZEROS 2u
static_assert(VMAB_SLOT_SIZE == SLOT_CHECKSUM + CHECKSUM_SIZE, "spec/vmab.md section 5.1");
static_assert(SECTION_HEADER_MAX ==
		      ROUND_UP(SECTION_AT_SLOTS + SLOTS_MAX * VMAB_SLOT_SIZE, SECTOR_SIZE),
	      "a header with all slots");

static_assert(INDEX_N_CLUSTERS == INDEX_CLUSTER + 8 && INDEX_EXTENT_AT == INDEX_N_CLUSTERS + 8 &&
		      INDEX_DRIVE == INDEX_EXTENT_AT + 8 && INDEX_ENTRY_SIZE == INDEX_DRIVE + 8,
	      "spec/vmab.md section 5.3: index_next writes all of an entry");

/* section 5.5 */
enum vmab_tail {
	TAIL_ARCHIVE_SIZE = 0x80,
	TAIL_N_SECTIONS = 0x88,
	TAIL_N_DATA = 0x90,
	TAIL_N_ZERO = 0x98,
	TAIL_RAW_SIZE = 0xa0,
	TAIL_HEAD_COPY_AT = 0xa8,
	TAIL_RESERVED = 0xb0,
};
static_assert((int)TAIL_ARCHIVE_SIZE == SECTION_AT_SLOTS &&
		      TAIL_RESERVED - TAIL_ARCHIVE_SIZE == sizeof(struct totals),
	      "spec/vmab.md section 5.5");

/* spec/vma1.md section 2 */
#define VMA1_MAGIC	 "VMA" /* and its NUL */
#define VMA1_MARKER	 "VMABAK-XXH3-64\0\1"
#define VMA1_MARKER_SIZE 16u
#define VMA1_HEAD_MAX	 1048576u
#define VMA1_CONFIGS	 256u
#define VMA1_DEVICES	 256u
#define VMA1_DRIVE_MAX	 ((uint64_t)CLUSTER_SIZE << 32) /* bytes: 2^32 clusters */
#define MD5_SIZE	 16u
enum vma1_head {
	VMA1_VERSION = 4,
	VMA1_UUID = 8,
	VMA1_CREATED = 24,
	VMA1_MD5 = 32,
	VMA1_BLOBS_AT = 48,
	VMA1_BLOBS_SIZE = 52,
	VMA1_HEAD_SIZE = 56,
	VMA1_MARKER_AT = 60,
	VMA1_CONFIG_NAMES = 2044,
	VMA1_CONFIG_DATA = 3068,
	VMA1_DEVICES_AT = 4096,
	VMA1_DEVICE_SIZE = 32,
	VMA1_HEAD_FIXED = 12288,
};
static_assert(VMA1_CREATED == VMA1_UUID + UUID_SIZE && VMA1_BLOBS_AT == VMA1_MD5 + MD5_SIZE &&
		      VMA1_MARKER_AT + VMA1_MARKER_SIZE <= VMA1_CONFIG_NAMES &&
		      VMA1_CONFIG_DATA == VMA1_CONFIG_NAMES + 4 * VMA1_CONFIGS &&
		      VMA1_DEVICES_AT >= VMA1_CONFIG_DATA + 4 * VMA1_CONFIGS &&
		      VMA1_HEAD_FIXED == VMA1_DEVICES_AT + VMA1_DEVICES * VMA1_DEVICE_SIZE,
	      "spec/vma1.md section 2");

/* spec/vma1.md section 3 */
#define VMA1_EXTENT_MAGIC "VMAE\0\0" /* with the two reserved bytes */
enum vma1_extent {
	EXTENT_N_BLOCKS = 6,
	EXTENT_UUID = 8,
	EXTENT_MD5 = 24,
	EXTENT_SLOTS = 40,
	VMA1_SLOT_SIZE = 8,
	VMA1_SLOT_FREE = 7, /* bytes of an unused slot, without the device id */
	VMA1_EXTENT_SIZE = 512,
};
static_assert(EXTENT_MD5 == EXTENT_UUID + UUID_SIZE && EXTENT_SLOTS == EXTENT_MD5 + MD5_SIZE &&
		      VMA1_EXTENT_SIZE == EXTENT_SLOTS + VMA1_SLOTS * VMA1_SLOT_SIZE &&
		      VMA1_EXTENT_SIZE == SECTOR_SIZE,
	      "spec/vma1.md section 3");
static_assert(VMA1_CHECKED_DATA * 8 <= (VMA1_SLOTS - VMA1_CHECKED_DATA) * VMA1_SLOT_FREE,
	      "the free slots have room for the checksums: spec/vma1.md section 5");

/* The blocks of a cluster that a drive has: a mask. */
static inline uint16_t blocks_in_drive(uint64_t size_bytes, uint64_t cluster)
{
	uint64_t left = size_bytes - cluster * CLUSTER_SIZE;
	uint64_t n_blocks =
		left < CLUSTER_SIZE ? (left + BLOCK_SIZE - 1) / BLOCK_SIZE : CLUSTER_BLOCKS;

	return (uint16_t)((1u << n_blocks) - 1);
}

static inline uint32_t vmab_header_size(uint32_t n_slots)
{
	return ROUND_UP(SECTION_AT_SLOTS + n_slots * VMAB_SLOT_SIZE, SECTOR_SIZE);
}

/* Both write the checksum to its field, and return whether the field held it already. XXH3-128
 * leaves the field out, MD5 takes it as zeros. */
bool checksum_in_place(uint8_t *bytes, size_t size, size_t field);
bool md5_in_place(uint8_t *bytes, size_t size, size_t field);

static inline uint64_t vmab_record_size(uint64_t value_size)
{
	return RECORD_HEADER + ROUND_UP(value_size, 8);
}

int vmab_head_parse(uint8_t *head, uint32_t size, struct archive *out, struct error *err);
int vmab_section_parse(const struct archive *archive, uint8_t *header, struct section *out,
		       struct error *err);
int vma1_head_parse(uint8_t *head, uint32_t size, struct archive *out, struct error *err);
int vma1_extent_parse(const struct archive *archive, uint8_t *header, struct section *out,
		      struct error *err);

int vmab_archive_check(const struct archive *archive, struct error *err);
uint32_t vmab_head_size(const struct archive *archive);
void vmab_head_build(const struct archive *archive, uint8_t *out);
void vmab_section_build(const struct archive *archive, const struct section *section, uint8_t *out);
int vma1_archive_check(const struct archive *archive, struct error *err);
uint32_t vma1_head_size(const struct archive *archive);
void vma1_head_build(const struct archive *archive, uint8_t *out);
void vma1_extent_build(const struct archive *archive, const struct section *section, uint8_t *out);

#endif
