/*
 * The archive formats: bytes to checked structs and back. Sources: spec/vmab.md, spec/vma1.md.
 *
 * Nothing here does I/O or starts threads, and only archive_check allocates memory. Parsers take
 * untrusted bytes; a struct they filled in has been checked and can be relied on. Builders take
 * structs of our own and assert. All functions may run in several threads on different outputs.
 */
#ifndef FORMAT_FORMAT_H
#define FORMAT_FORMAT_H

#include "base/error.h"

#include <assert.h>

#define SECTOR_SIZE	   512u	     /* all positions and sizes in an archive are multiples */
#define HEAD_SIZE_MAX	   16777216u /* bytes */
#define SECTION_HEADER_MAX 33280u    /* bytes */
#define PAYLOAD_SIZE_MAX   4194304u  /* bytes, raw and stored; 64 full clusters */
#define PADDING_SIZE_MAX   16777216u /* zero bytes after the end: the largest tape record */
#define SLOTS_MAX	   1024u
#define DRIVES_MAX	   65535u
#define CONFIGS_MAX	   65535u
#define INDEX_ENTRIES_MAX  32768u
#define CHECKSUM_SIZE	   16u
#define VMA1_SLOTS	   59u
#define VMA1_CHECKED_DATA  27u /* data clusters in an extent whose free slots hold checksums */

enum archive_format { FORMAT_VMAB, FORMAT_VMA1 };

/* The checksum that protects each data cluster. */
enum cluster_checksum { CLUSTER_UNPROTECTED, CLUSTER_XXH3_64, CLUSTER_XXH3_128 };

struct archive_drive {
	struct text name;    /* 1 to 255 bytes */
	uint64_t size_bytes; /* below 2^63 */
};

struct archive_config {
	struct text name; /* 1 to 255 bytes */
	struct text data;
};

/* A head. Its texts point into the bytes it was parsed from, which must outlive it. About 4 MiB:
 * allocate it with calloc, so that only the parts in use take memory. */
struct archive {
	enum archive_format format;
	enum cluster_checksum cluster_checksum;
	uint8_t uuid[UUID_SIZE];
	uint8_t parent[UUID_SIZE]; /* all zero: a full archive */
	int64_t created_ns;	   /* since 1970, UTC; VMA has whole seconds */
	uint32_t head_size;	   /* bytes */
	uint32_t n_drives;
	uint32_t n_configs;
	struct text note;	       /* length 0: none; these three in VMAB only */
	struct text checkpoint;	       /* the instant this archive shows */
	struct text parent_checkpoint; /* the instant the parent shows */
	/* All records of a head that was parsed; of one to be built those that drive_marks_build made, or
	 * all of another: tokens and proofs are taken of them. */
	struct text records;
	uint16_t drive_of_device[256]; /* VMA: device id to drive + 1, 0: not declared */
	struct archive_drive drives[DRIVES_MAX];
	struct archive_config configs[CONFIGS_MAX];
};

enum section_kind {
	SECTION_EXTENT = 1,
	SECTION_INDEX = 2,
	SECTION_HEAD_COPY = 3,
	SECTION_TAIL = 4,
	SECTION_ANCILLARY = 0x8000, /* and above: readers skip it */
};

enum codec { CODEC_NONE = 0, CODEC_ZSTD = 1 };

/* One cluster with data (mask != 0, n_clusters == 1), or a run of zero clusters (mask == 0). */
struct slot {
	uint64_t cluster; /* the first */
	uint64_t n_clusters;
	uint32_t drive;
	uint16_t mask; /* bit j: block j is stored */
	uint8_t checksum[CHECKSUM_SIZE];
};

/* Totals of an archive, counted by reader and writer and stored in a VMAB tail. */
struct totals {
	uint64_t archive_size; /* bytes, tail included */
	uint64_t n_sections;   /* tail included */
	uint64_t n_data;       /* clusters */
	uint64_t n_zero;       /* clusters */
	uint64_t raw_size;     /* bytes of stored blocks before compression */
	uint64_t head_copy_at; /* position */
};
static_assert(sizeof(struct totals) == 48, "compared byte by byte: without padding");

/* A section of VMAB, or an extent of VMA in the same shape. About 48 KiB. */
struct section {
	uint64_t position;	 /* bytes from the beginning of the archive */
	uint64_t sequence;	 /* 0 for the first section after the head */
	uint64_t previous_index; /* position, 0: none */
	uint32_t kind;		 /* enum section_kind */
	uint32_t codec;		 /* enum codec */
	uint32_t header_size;	 /* bytes */
	uint32_t raw_size;	 /* bytes of the payload when decoded */
	uint32_t stored_size;	 /* bytes of the payload as stored */
	uint32_t padded_size;	 /* stored_size rounded up to whole sectors */
	uint32_t n_slots;
	uint8_t checksum[CHECKSUM_SIZE]; /* of the padded payload; VMAB only */
	struct totals totals;		 /* SECTION_TAIL only */
	struct slot slots[SLOTS_MAX];	 /* SECTION_EXTENT only */
};

/* An entry of the index, little-endian: spec/vmab.md section 5.3. */
enum index_entry {
	INDEX_CLUSTER = 0x00,
	INDEX_N_CLUSTERS = 0x08,
	INDEX_EXTENT_AT = 0x10,
	INDEX_DRIVE = 0x18,
	INDEX_ENTRY_SIZE = 0x20,
};

/* ---- parsing: together with reader/reader.c and reader/extent.c the audit set ---- */

/* The size of a head in bytes, from the first sector of the archive. */
int head_measure(const uint8_t first[SECTOR_SIZE], uint32_t *size, struct error *err);
/* Parses a whole head, of head_measure's size. *out must be zeroed; it borrows from head. Where the
 * checksum is wrong, the bytes of head are changed. */
int head_parse(uint8_t *head, uint32_t size, struct archive *out, struct error *err);

/* The size of a section's header in bytes, from the section's first sector. */
int section_measure(const struct archive *archive, const uint8_t first[SECTOR_SIZE],
		    uint64_t position, uint32_t *header_size, struct error *err);
/* Parses and checks a whole header as far as it stands for itself. What depends on the sections
 * before it (sequence, previous index, clusters twice) is up to the reader. */
int section_parse(const struct archive *archive, uint8_t *header, uint64_t position,
		  struct section *out, struct error *err);

/* The next entry that an extent has in the index. Start with *slot == 0; false: no more. */
bool index_next(const struct section *extent, uint32_t *slot, uint8_t out[INDEX_ENTRY_SIZE]);

/* XXH3-128 in canonical form. */
void checksum_bytes(const void *bytes, size_t size, uint8_t out[CHECKSUM_SIZE]);
/* The checksum of a whole cluster, of this kind; the rest of out is zero. */
void checksum_cluster(enum cluster_checksum kind, const uint8_t cluster[CLUSTER_SIZE],
		      uint8_t out[CHECKSUM_SIZE]);

/* ---- finding, for salvage ---- */

/* A head, section or extent that a sector appears to begin. */
struct landmark {
	enum archive_format format;
	bool is_head;
	uint8_t uuid[UUID_SIZE];
	uint64_t position; /* of a VMAB section: the one its header states */
};

/* Goes by the magic and a few more bytes, which prove nothing yet. */
bool landmark_recognise(const uint8_t first[SECTOR_SIZE], struct landmark *out);
/* The first offset at or after from where a magic may begin; n when there is none before n. The
 * magic may reach past n. */
size_t landmark_find(const uint8_t *bytes, size_t from, size_t n);

/* ---- building ---- */

/* Whether the format can hold this archive: names, numbers, sizes. ERR_USAGE when it cannot. */
int archive_check(const struct archive *archive, struct error *err);
/* The size head_build needs. Call archive_check first. */
uint32_t head_size(const struct archive *archive);
void head_build(const struct archive *archive, uint8_t *out);

uint32_t section_header_size(const struct archive *archive, uint32_t n_slots);
/* Writes header_size bytes. The caller has set the checksum, sizes and slots of the section; also
 * position, sequence and previous_index where the format has them. */
void section_build(const struct archive *archive, const struct section *section, uint8_t *out);

#endif
