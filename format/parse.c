#include "format/layout.h"

int head_measure(const uint8_t first[SECTOR_SIZE], uint32_t *size, struct error *err)
{
	bool vmab = memcmp(first, VMAB_MAGIC, 8) == 0;
	DEMAND(vmab || memcmp(first, VMA1_MAGIC, 4) == 0, 0, "not a VMAB or VMA archive");
	uint64_t field = vmab ? HEAD_SIZE : VMA1_HEAD_SIZE;
	uint64_t n = vmab ? get_le(first + field, 4) : get_be(first + field, 4);
	bool fits = n >= SECTOR_SIZE && n <= HEAD_SIZE_MAX && n % SECTOR_SIZE == 0;
	DEMAND(vmab ? fits : n > VMA1_HEAD_FIXED, field, "a head of %u bytes", (unsigned)n);
	SUPPORTED(vmab || n <= VMA1_HEAD_MAX, field, "a head of this size is not supported");
	*size = (uint32_t)n;
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
	bool vmab = archive->format == FORMAT_VMAB;
	uint32_t n_slots = vmab ? (uint32_t)get_le(first + SECTION_N_SLOTS, 4) : 0;
	bool begins = vmab ? memcmp(first, VMAB_SECTION_MAGIC, 8) == 0
			   : memcmp(first, VMA1_EXTENT_MAGIC, 6) == 0;
	DEMAND(begins, position, "there is no %s here", vmab ? "section" : "extent");
	DEMAND(n_slots <= SLOTS_MAX, position, "a section with %u slots", n_slots);
	*header_size = ROUND_UP(SECTION_SLOTS + n_slots * VMAB_SLOT_SIZE, SECTOR_SIZE);
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
	const struct slot *first = &extent->slots[*slot], *s = first;
	uint64_t n_clusters = 0;
	if (*slot == extent->n_slots)
		return false;
	do
		n_clusters += s++->n_clusters;
	while (++*slot < extent->n_slots && s->drive == first->drive &&
	       s->cluster == first->cluster + n_clusters);
	put_le(out, 8, first->cluster);
	put_le(out + 0x08, 8, n_clusters);
	put_le(out + 0x10, 8, extent->position);
	put_le(out + 0x18, 8, first->drive); /* and the reserved bytes */
	return true;
}
