/*
 * A map of GNU ddrescue, or of partclone -D: contiguous areas with a status of one character.
 * Source: spec/changes.md, section 4.
 */
#include "format/changelist.h"

#include <string.h>

/* Takes an area; one that is neither '+' nor '?' may mean anything. */
static int take_area(struct changelist *list, char *line, uint64_t *end, struct error *err)
{
	uint64_t offset, length;

	DEMAND(changelist_number(&line, &offset) && changelist_number(&line, &length) &&
		       (strcmp(line, "+") == 0 || strcmp(line, "?") == 0),
	       list->place, "a line that is not an offset, a size and + or ?");
	DEMAND(offset == *end && length <= INT64_MAX - offset, list->place,
	       "an area from %llu on where one from %llu on should be", (unsigned long long)offset,
	       (unsigned long long)*end);
	*end += length;
	return *line == '+' ? changelist_range(list, offset, length, err) : 0;
}

int changelist_ddrescue(struct changelist *list, struct error *err)
{
	bool begun = false;
	uint64_t end = 0;
	char *line;
	int code;

	while ((code = changelist_line(list, &line, err)) == 1) {
		uint64_t position;

		if (*line == '#')
			continue;
		if (begun) {
			TRY(take_area(list, line, &end, err));
			continue;
		}
		begun = true;
		DEMAND(changelist_number(&line, &position) && *line != '\0', list->place,
		       "is no map of ddrescue: it has no line of its status");
	}
	if (code != 0)
		return code;
	DEMAND(begun, list->taken, "is no map of ddrescue: it has no line of its status");
	DEMAND(end <= list->size_bytes, list->taken,
	       "is of a drive of %llu bytes, but this one has %llu", (unsigned long long)end,
	       (unsigned long long)list->size_bytes);
	/* It may leave out the end of the drive, of which nothing is known then. */
	return changelist_range(list, end, list->size_bytes - end, err);
}
