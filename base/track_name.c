#include "base/track_name.h"

#include <string.h>

#define PREFIX "vmabak-"

const char *track_name(char out[TRACK_NAME_SIZE], const uint8_t uuid[UUID_SIZE])
{
	memcpy(out, PREFIX, sizeof(PREFIX));
	format_uuid(out + sizeof(PREFIX) - 1, uuid);
	return out;
}

bool track_name_is_ours(const char *name)
{
	uint8_t uuid[UUID_SIZE];

	return strncmp(name, PREFIX, sizeof(PREFIX) - 1) == 0 &&
	       parse_uuid(name + sizeof(PREFIX) - 1, uuid);
}

void track_name_uuid(uint8_t out[UUID_SIZE], const char *name)
{
	parse_uuid(name + sizeof(PREFIX) - 1, out);
}
