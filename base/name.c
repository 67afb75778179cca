#include "base/name.h"

#include "base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_word(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

bool name_usable(const uint8_t *bytes, size_t length)
{
	if (length == 0 || length > NAME_MAX_LENGTH || !is_word(bytes[0]))
		return false;
	for (size_t i = 1; i < length; i++) {
		if (!is_word(bytes[i]) && (bytes[i] == 0 || strchr(".+@%:-", bytes[i]) == NULL))
			return false;
	}
	return true;
}

size_t name_prefix(const char *argument)
{
	size_t length = strcspn(argument, "=/");

	return argument[length] == '=' ? length : 0;
}

char *name_cut_format(char *text)
{
	static const char word[] = ",format=";
	char *at = strrchr(text, ',');
	char *format;

	if (at == NULL || strncmp(at, word, sizeof(word) - 1) != 0)
		return NULL;
	format = at + sizeof(word) - 1;
	if (*format == '\0' ||
	    format[strspn(format, "abcdefghijklmnopqrstuvwxyz0123456789")] != '\0')
		return NULL;
	*at = '\0';
	return format;
}

int drive_argument_parse(const char *argument, struct drive_argument *out, struct error *err)
{
	char *copy = strdup(argument);
	struct drive_argument result = {.copy = copy, .path = copy};
	size_t length;

	if (copy == NULL)
		return fail_system(err, errno, "drive '%s'", argument);
	result.format = name_cut_format(copy);
	length = name_prefix(copy);
	if (length > 0) {
		copy[length] = '\0';
		result.name = copy;
		result.path = copy + length + 1;
	}
	if (*result.path != '\0' &&
	    (result.name == NULL || name_usable((const uint8_t *)copy, length))) {
		*out = result;
		return 0;
	}
	if (*result.path == '\0')
		fail(err, ERR_USAGE, "drive '%s': no file named", argument);
	else
		fail(err, ERR_USAGE,
		     "drive name '%s': only letters, digits and ._+@%%:- may be in it, the first a "
		     "letter, "
		     "digit or _, at most %u; for a file whose name has a '=' write ./FILE",
		     result.name, NAME_MAX_LENGTH);
	free(copy);
	return ERR_USAGE;
}

void drive_argument_free(struct drive_argument *argument)
{
	free(argument->copy);
}

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

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

bool has_ending(const char *text, const char *ending)
{
	size_t length = strlen(text), end = strlen(ending);

	return length > end && strcmp(text + length - end, ending) == 0;
}
