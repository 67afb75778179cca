#include "machine/qemu/names.h"

#include "base/parse.h"
#include "machine/qemu/inventory.h"

#include <stdio.h>
#include <string.h>

#define PREFIX	    "vmabak-"
#define FILE_ENDING "-file"

char *node_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive)
{
	snprintf(out, NODE_NAME_SIZE, PREFIX "%s-%u", id, drive);
	return out;
}

char *node_file_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive)
{
	snprintf(out, NODE_NAME_SIZE, PREFIX "%s-%u" FILE_ENDING, id, drive);
	return out;
}

char *node_part_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive, const char *part)
{
	snprintf(out, NODE_NAME_SIZE, PREFIX "%s-%u-%s", id, drive, part);
	return out;
}

bool node_name_parse(const char *name, char id[RUN_ID_SIZE], uint64_t *drive)
{
	const size_t prefix = sizeof(PREFIX) - 1, digits = RUN_ID_SIZE - 1;

	if (name == NULL || strncmp(name, PREFIX, prefix) != 0)
		return false;
	name += prefix;
	if (strspn(name, "0123456789abcdef") != digits || name[digits] != '-')
		return false;
	memcpy(id, name, digits);
	id[digits] = '\0';
	return parse_number(name + digits + 1, drive) && *drive < INVENTORY_DRIVES_MAX;
}

bool node_file_name_parse(const char *name, char id[RUN_ID_SIZE], uint64_t *drive)
{
	char format[NODE_NAME_SIZE];
	size_t length = name == NULL ? 0 : strlen(name), end = sizeof(FILE_ENDING) - 1;

	if (length <= end || length >= sizeof(format) ||
	    strcmp(name + length - end, FILE_ENDING) != 0)
		return false;
	memcpy(format, name, length - end);
	format[length - end] = '\0';
	return node_name_parse(format, id, drive);
}

bool node_name_is_of(const char *name, const char *id)
{
	char found[RUN_ID_SIZE];
	uint64_t drive;

	return node_name_parse(name, found, &drive) && strcmp(found, id) == 0;
}

bool node_name_begins(const char *name, const char *id)
{
	const size_t prefix = sizeof(PREFIX) - 1, digits = RUN_ID_SIZE - 1;

	return name != NULL && strlen(name) > prefix + digits &&
	       strncmp(name, PREFIX, prefix) == 0 && strncmp(name + prefix, id, digits) == 0 &&
	       name[prefix + digits] == '-';
}
