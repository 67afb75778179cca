/* Where an archive may be taken up again: for salvage, outside the audit set. */
#include "format/layout.h"

bool landmark_recognise(const uint8_t first[SECTOR_SIZE], struct landmark *out)
{
	*out = (struct landmark){.format = FORMAT_VMAB};
	const uint8_t *uuid = first + SECTION_AT_UUID;
	if (memcmp(first, VMAB_SECTION_MAGIC, 8) == 0) {
		out->position = get_le(first + SECTION_AT_POSITION, 8);
		if (!all_zero(first + SECTION_AT_RESERVED, 32))
			return false;
	} else if (memcmp(first, VMAB_MAGIC, 8) == 0) {
		out->is_head = true;
		uuid = first + HEAD_UUID;
	} else if (memcmp(first, VMA1_EXTENT_MAGIC, 6) == 0) {
		out->format = FORMAT_VMA1;
		uuid = first + EXTENT_UUID;
	} else if (memcmp(first, VMA1_MAGIC, 4) == 0) {
		out->format = FORMAT_VMA1;
		out->is_head = true;
		uuid = first + VMA1_UUID;
	} else {
		return false;
	}
	memcpy(out->uuid, uuid, UUID_SIZE);
	return true;
}

/* All magics have "VM" in them, that of the VMAB head as its second and third byte. */
size_t landmark_find(const uint8_t *bytes, size_t from, size_t n)
{
	while (from < n) {
		const uint8_t *found = memmem(bytes + from, n - from, "VM", 2);
		if (found == NULL)
			return n;
		size_t at = (size_t)(found - bytes);
		if (at > from && bytes[at - 1] == (uint8_t)VMAB_MAGIC[0])
			return at - 1;
		if (n - at > 2 && bytes[at + 2] == 'A')
			return at;
		from = at + 1;
	}
	return n;
}
