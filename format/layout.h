/*
 * Where things lie in an archive, and what the two formats offer to parse.c and build.c. Private to
 * format/.
 *
 * Offsets are named for what they hold; sizes and meaning are in the spec sections given.
 */
#ifndef FORMAT_LAYOUT_H
#define FORMAT_LAYOUT_H

#include "base/bytes.h"
#include "format/format.h"

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

/* section 4.1; a record has 8 bytes before its value */
enum vmab_record {
	RECORD_DRIVE = 1,
	RECORD_CONFIG = 2,
	RECORD_NOTE = 3,
	RECORD_CHECKPOINT = 4,
	RECORD_PARENT_CHECKPOINT = 5,
	RECORD_IGNORABLE = 0x8000,
};
#define RECORD_HEADER 8u
#define DRIVE_NAME    16u /* in the value of a drive: size, reserved, name */
#define CONFIG_NAME   8u  /* in the value of a config: length, reserved, name, data */

/* section 5 */
#define VMAB_SECTION_MAGIC "VMABSECT"
enum vmab_section {
	SECTION_UUID = 0x08,
	SECTION_SEQUENCE = 0x18,
	SECTION_POSITION = 0x20,
	SECTION_PREVIOUS_INDEX = 0x28,
	SECTION_KIND = 0x30,
	SECTION_CODEC = 0x32,
	SECTION_N_SLOTS = 0x34,
	SECTION_RAW_SIZE = 0x38,
	SECTION_STORED_SIZE = 0x3c,
	SECTION_PAYLOAD_CHECKSUM = 0x40,
	SECTION_RESERVED = 0x50,
	SECTION_CHECKSUM = 0x70,
	SECTION_SLOTS = 0x80,
};

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

/* section 5.5 */
enum vmab_tail {
	TAIL_TOTALS = 0x80, /* struct totals: six u64 in its order */
	TAIL_RESERVED = 0xb0,
};

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

/* spec/vma1.md section 3 */
#define VMA1_EXTENT_MAGIC "VMAE\0\0" /* with the two reserved bytes */
enum vma1_extent {
	EXTENT_N_BLOCKS = 6,
	EXTENT_UUID = 8,
	EXTENT_MD5 = 24,
	EXTENT_SLOTS = 40,
	VMA1_SLOT_SIZE = 8,
	VMA1_EXTENT_SIZE = 512,
};

/* The blocks of a cluster that a drive has: a mask. */
static inline uint16_t blocks_in_drive(uint64_t size_bytes, uint64_t cluster)
{
	uint64_t left = size_bytes - cluster * CLUSTER_SIZE;
	uint64_t n_blocks =
		left < CLUSTER_SIZE ? (left + BLOCK_SIZE - 1) / BLOCK_SIZE : CLUSTER_BLOCKS;
	return (uint16_t)((1u << n_blocks) - 1);
}

/* Both write the checksum to its field and return whether it was there before. XXH3-128 leaves the
 * field out, MD5 takes it as zeros. */
bool checksum_in_place(uint8_t *bytes, size_t size, size_t field);
bool md5_in_place(uint8_t *bytes, size_t size, size_t field);

int vmab_head_parse(uint8_t *head, uint32_t size, struct archive *out, struct error *err);
int vmab_section_parse(const struct archive *archive, uint8_t *header, struct section *out,
		       struct error *err);
int vma1_head_parse(uint8_t *head, uint32_t size, struct archive *out, struct error *err);
int vma1_extent_parse(const struct archive *archive, uint8_t *header, struct section *out,
		      struct error *err);

int vmab_archive_check(const struct archive *archive, struct error *err);
uint32_t vmab_head_size(const struct archive *archive);
void vmab_head_build(const struct archive *archive, uint8_t *out);
uint32_t vmab_section_header_size(uint32_t n_slots);
void vmab_section_build(const struct archive *archive, const struct section *section, uint8_t *out);
int vma1_archive_check(const struct archive *archive, struct error *err);
uint32_t vma1_head_size(const struct archive *archive);
void vma1_head_build(const struct archive *archive, uint8_t *out);
void vma1_extent_build(const struct archive *archive, const struct section *section, uint8_t *out);

#endif
