#include "archive/select.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>

#define NAMES_SIZE     300u
#define DEFAULT_CONFIG "qemu-server.conf"

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

/* Adds a name to a list for a message, "a, b, ...". False: the list is full. */
static bool add_name(char list[NAMES_SIZE], struct text name)
{
	size_t used = strlen(list), length;
	char one[80];

	length = strlen(escape_text(one, sizeof(one), name.bytes, name.length));
	if (used + length + sizeof(", , ...") > NAMES_SIZE) {
		strcpy(list + used, ", ...");
		return false;
	}
	sprintf(list + used, "%s%s", used == 0 ? "" : ", ", one);
	return true;
}

static int no_such_drive(const char *argument, const struct archive *archive, struct error *err)
{
	char names[NAMES_SIZE] = "";

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		if (!add_name(names, archive->drives[i].name))
			break;
	}
	if (archive->n_drives == 0)
		return fail(err, ERR_USAGE, "'%s': the archive holds no drives", argument);
	return fail(err, ERR_USAGE, "'%s': no such drive in the archive; it holds %s", argument,
		    names);
}

int select_drive(const char *argument, const struct archive *archive, uint32_t *drive,
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
			    "'%s': %u drives have that name; choose by number, as @%u", argument,
			    n_best, best + 1);
	if (n_best == 0) {
		number = drive_number(argument, &length);
		if (number < 1 || number > archive->n_drives)
			return no_such_drive(argument, archive, err);
		best = (uint32_t)(number - 1);
	}
	if (argument[length] == '=' && argument[length + 1] == '\0')
		return fail(err, ERR_USAGE, "'%s': nothing follows the '='", argument);
	*drive = best;
	*target = argument[length] == '=' ? argument + length + 1 : NULL;
	return 0;
}

static const struct archive_config *find_config(const struct archive *archive, const char *name)
{
	size_t length = strlen(name);

	for (uint32_t i = 0; i < archive->n_configs; i++) {
		struct text found = archive->configs[i].name;

		if (found.length == length && memcmp(found.bytes, name, length) == 0)
			return &archive->configs[i];
	}
	return NULL;
}

static int no_such_config(const char *name, const struct archive *archive, struct error *err)
{
	char names[NAMES_SIZE] = "";

	for (uint32_t i = 0; i < archive->n_configs; i++) {
		if (!add_name(names, archive->configs[i].name))
			break;
	}
	if (archive->n_configs == 0)
		return fail(err, ERR_SYSTEM, "the archive holds no configs");
	if (name == NULL)
		return fail(err, ERR_SYSTEM, "which config? the archive holds %s", names);
	return fail(err, ERR_SYSTEM, "no config '%s' in the archive; it holds %s", name, names);
}

int select_config(const char *name, const struct archive *archive,
		  const struct archive_config **config, struct error *err)
{
	const struct archive_config *found = NULL;

	if (name == NULL && archive->n_configs == 1)
		found = &archive->configs[0];
	else
		found = find_config(archive, name == NULL ? DEFAULT_CONFIG : name);
	if (found == NULL)
		return no_such_config(name, archive, err);
	*config = found;
	return 0;
}
