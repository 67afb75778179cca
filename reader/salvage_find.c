/*
 * Finds headers and heads anywhere in the window, checks headers, and keeps the budget for
 * checksums that may prove nothing.
 */
#include "reader/salvage_parts.h"

#include <string.h>

#define SPEND_ONCE  (256u << 20)
#define SPEND_TIMES 8u

bool salvage_may_spend(struct salvage *s, uint64_t n_bytes)
{
	s->spent += n_bytes;
	return s->spent <= SPEND_ONCE || s->spent / SPEND_TIMES <= s->window.at;
}

bool salvage_check_section(struct salvage *s, size_t at, struct section *out)
{
	struct error ignored;
	struct landmark found;
	uint32_t size = 0;
	size_t n = window_fill(&s->window, at + SECTION_HEADER_MAX);
	const uint8_t *bytes = window_bytes(&s->window) + at;

	if (n < at + SECTOR_SIZE || !landmark_recognise(bytes, &found) || found.is_head ||
	    found.format != s->archive->format ||
	    memcmp(found.uuid, s->archive->uuid, UUID_SIZE) != 0 ||
	    section_measure(s->archive, bytes, 0, &size, &ignored) != 0 || n - at < size)
		return false;
	uint64_t position = found.format == FORMAT_VMAB ? found.position : s->window.at + at;
	memcpy(s->header, bytes, size);
	return section_parse(s->archive, s->header, position, out, &ignored) == 0;
}

size_t salvage_searchable(struct salvage *s, size_t wanted)
{
	size_t n = window_fill(&s->window, wanted + SECTION_HEADER_MAX);

	return n < wanted ? n : wanted;
}

size_t salvage_find_landmark(struct salvage *s, size_t from, size_t end)
{
	size_t n = s->window.end - s->window.begin;

	n = n < end + 8 ? n : end + 8;
	return landmark_find(window_bytes(&s->window), from, n);
}
