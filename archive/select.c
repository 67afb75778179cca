#include "archive/select.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>

static bool begins_with_name(const char *argument, struct text name)
{
	return strlen(argument) >= name.length && memcmp(argument, name.bytes, name.length) == 0 &&
	       (argument[name.length] == '=' || argument[name.length] == '\0');
}

/* "@N" or "@N=...": N, else 0. */
static uint64_t drive_number(const char *argument, size_t *length)
{
	char digits[8];
	uint64_t number;

	*length = strcspn(argument, "=");
	if (argument[0] != '@' || *length < 2 || *length > sizeof(digits))
		return 0;
	memcpy(digits, argument + 1, *length - 1);
	digits[*length - 1] = '\0';
	return parse_number(digits, &number) ? number : 0;
}

static int no_such_drive(const char *argument, const struct archive *archive, struct error *err)
{
	char names[300] = "", one[64];
	size_t used = 0;

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		struct text name = archive->drives[i].name;
		size_t length = strlen(escape_text(one, sizeof(one), name.bytes, name.length));

		if (used + length + 8 > sizeof(names)) {
			strcpy(names + used, ", ...");
			break;
		}
		used += (size_t)sprintf(names + used, "%s%s", i == 0 ? "" : ", ", one);
	}
	if (archive->n_drives == 0)
		return fail(err, ERR_USAGE, "-d '%s': the archive holds no drives", argument);
	return fail(err, ERR_USAGE, "-d '%s': no such drive in the archive; it holds %s", argument,
		    names);
}

int drive_selection_parse(const char *argument, const struct archive *archive, uint32_t *drive,
			  const char **target, struct error *err)
{
	uint32_t best = 0, n_best = 0;
	size_t length = 0;
	uint64_t number;

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		struct text name = archive->drives[i].name;

		if (!begins_with_name(argument, name) || name.length < length)
			continue;
		n_best = name.length > length ? 1 : n_best + 1;
		best = i;
		length = name.length;
	}
	if (n_best > 1)
		return fail(err, ERR_USAGE,
			    "-d '%s': %u drives have that name; choose by number, as -d @%u=TARGET",
			    argument, n_best, best + 1);
	if (n_best == 0) {
		number = drive_number(argument, &length);
		if (number < 1 || number > archive->n_drives)
			return no_such_drive(argument, archive, err);
		best = (uint32_t)(number - 1);
	}
	if (argument[length] == '=' && argument[length + 1] == '\0')
		return fail(err, ERR_USAGE, "-d '%s': no target after the '='", argument);
	*drive = best;
	*target = argument[length] == '=' ? argument + length + 1 : NULL;
	return 0;
}
