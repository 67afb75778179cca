/* Sections: extent, index, head copy, tail of a VMAB, and the extent of a VMA, for an archive with
 * three drives. Byte 0: which archive, and whether checksums are made right first. */
#include "format/format.h"
#include "reader/reader.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/repair.h"

#include <string.h>

static struct archive archive;
static struct section section;
static uint8_t raw[PAYLOAD_SIZE_MAX], scratch[CLUSTER_SIZE];

static void describe(uint8_t how)
{
	static const uint64_t sizes[] = {200704, 65536 * 40, (uint64_t)1 << 40};
	static const enum cluster_checksum vma[] = {CLUSTER_UNPROTECTED, CLUSTER_XXH3_64};
	archive.format = how & 1 ? FORMAT_VMA1 : FORMAT_VMAB;
	archive.cluster_checksum = how & 1 ? vma[how >> 1 & 1] : CLUSTER_XXH3_128;
	for (uint8_t i = 0; i < UUID_SIZE; i++)
		archive.uuid[i] = i + 1;
	archive.n_drives = 3;
	for (uint32_t i = 0; i < 3; i++) {
		archive.drives[i].size_bytes = sizes[i];
		archive.drive_of_device[i + 1] = (uint16_t)(i + 1);
	}
}

/* A VMAB header has no byte that is not in the struct: building gives it back. */
static void check_built(const uint8_t *header)
{
	uint8_t built[SECTION_HEADER_MAX];
	if (archive.format == FORMAT_VMA1 || section.kind >= SECTION_ANCILLARY)
		return;
	section_build(&archive, &section, built);
	MUST(memcmp(built, header, section.header_size) == 0);
}

static void check_extent(const uint8_t *stored)
{
	struct error err;
	const uint8_t *blocks, *cluster;
	uint8_t entry[INDEX_ENTRY_SIZE];
	uint32_t n_entries = 0, slot = 0;
	while (index_next(&section, &slot, entry))
		n_entries++;
	MUST(n_entries <= section.n_slots);
	if (extent_open(&archive, &section, stored, raw, &blocks, &err) != 0)
		return;
	for (uint32_t i = 0; i < section.n_slots; i++) {
		const struct slot *s = &section.slots[i];
		uint64_t left = archive.drives[s->drive].size_bytes - s->cluster * CLUSTER_SIZE;
		if (s->mask == 0 ||
		    extent_cluster(&archive, &section, i, blocks, scratch, &cluster, &err) != 0)
			continue;
		for (uint64_t at = left; at < CLUSTER_SIZE; at++)
			MUST(cluster[at] == 0);
		blocks += (uint32_t)__builtin_popcount(s->mask) * BLOCK_SIZE;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = {0};
	uint32_t header_size;
	uint64_t position = 4096;
	if (size < 1 + SECTOR_SIZE)
		return 0;
	describe(data[0]);
	if (section_measure(&archive, data + 1, position, &header_size, &err) != 0 ||
	    header_size > size - 1)
		return 0;
	size_t n = size - 1;
	uint8_t *bytes = malloc(n);
	MUST(bytes != NULL);
	memcpy(bytes, data + 1, n);
	if (data[0] >> 2 & 3)
		repair_section(bytes, n);
	int code = section_parse(&archive, bytes, position, &section, &err);
	if (code == 0)
		check_built(bytes);
	if (code == 0 && section.kind == SECTION_EXTENT && section.padded_size <= n - header_size)
		check_extent(bytes + header_size);
	MUST(code == 0 || (err.place == position && err.text[0] != '\0'));
	free(bytes);
	return 0;
}
