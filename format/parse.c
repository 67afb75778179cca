#include "format/layout.h"

int head_measure(const uint8_t first[SECTOR_SIZE], uint32_t *size, struct error *err)
{
	if (memcmp(first, VMAB_MAGIC, 8) == 0) {
		*size = (uint32_t)get_le(first + HEAD_SIZE, 4);
		bool whole = *size >= SECTOR_SIZE && *size % SECTOR_SIZE == 0;
		DEMAND(whole && *size <= HEAD_SIZE_MAX, HEAD_SIZE, "a head of %u bytes", *size);
		return 0;
	}
	DEMAND(memcmp(first, VMA1_MAGIC, 4) == 0, 0, "not a VMAB or VMA archive");
	*size = (uint32_t)get_be(first + VMA1_HEAD_SIZE, 4);
	DEMAND(*size > VMA1_HEAD_FIXED, VMA1_HEAD_SIZE, "a head of %u bytes", *size);
	SUPPORTED(*size <= VMA1_HEAD_MAX, VMA1_HEAD_SIZE, "a head of %u bytes is not supported",
		  *size);
	return 0;
}

int head_parse(uint8_t *head, uint32_t size, struct archive *out, struct error *err)
{
	out->head_size = size;
	return head[0] == VMA1_MAGIC[0] ? vma1_head_parse(head, size, out, err)
					: vmab_head_parse(head, size, out, err);
}

int section_measure(const struct archive *archive, const uint8_t first[SECTOR_SIZE],
		    uint64_t position, uint32_t *header_size, struct error *err)
{
	if (archive->format == FORMAT_VMA1) {
		bool extent = memcmp(first, VMA1_EXTENT_MAGIC, 6) == 0;
		DEMAND(extent, position, "there is no extent here");
		*header_size = VMA1_EXTENT_SIZE;
		return 0;
	}
	bool section = memcmp(first, VMAB_SECTION_MAGIC, 8) == 0;
	uint32_t n_slots = (uint32_t)get_le(first + SECTION_AT_N_SLOTS, 4);
	DEMAND(section, position, "there is no section here");
	DEMAND(n_slots <= SLOTS_MAX, position, "a section with %u slots", n_slots);
	*header_size = vmab_header_size(n_slots);
	return 0;
}

int section_parse(const struct archive *archive, uint8_t *header, uint64_t position,
		  struct section *out, struct error *err)
{
	out->position = position;
	return archive->format == FORMAT_VMAB ? vmab_section_parse(archive, header, out, err)
					      : vma1_extent_parse(archive, header, out, err);
}

bool index_next(const struct section *extent, uint32_t *slot, uint8_t out[INDEX_ENTRY_SIZE])
{
	const struct slot *first = &extent->slots[*slot];
	uint64_t n_clusters = 0;

	if (*slot == extent->n_slots)
		return false;
	for (; *slot < extent->n_slots; (*slot)++) {
		const struct slot *next = &extent->slots[*slot];
		if (next->drive != first->drive || next->cluster != first->cluster + n_clusters)
			break;
		n_clusters += next->n_clusters;
	}
	put_le(out + INDEX_CLUSTER, 8, first->cluster);
	put_le(out + INDEX_N_CLUSTERS, 8, n_clusters);
	put_le(out + INDEX_EXTENT_AT, 8, extent->position);
	put_le(out + INDEX_DRIVE, 8, first->drive); /* and the reserved bytes */
	return true;
}
