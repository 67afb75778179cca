#include "cow/rebuilt.h"

#include "base/bytes.h"

#include <string.h>

#define NO_GENERATION GENERATION_MAX /* the last one of a map does not end */

void rebuilt_origin(const uint8_t uuid[UUID_SIZE], uint64_t *id, uint16_t *generation)
{
	*id = get_le(uuid, 8) ^ get_le(uuid + 8, 8);
	if (*id == 0)
		*id = 1;
	*generation = NO_GENERATION;
}

char *rebuilt_token(char out[GENERATION_TOKEN_SIZE], const uint8_t uuid[UUID_SIZE])
{
	uint16_t generation;
	uint64_t id;

	rebuilt_origin(uuid, &id, &generation);
	return generation_token(out, id, generation);
}

bool rebuilt_find(struct checkpoints *checkpoints, const uint8_t uuid[UUID_SIZE],
		  struct checkpoint *out)
{
	uint16_t generation;
	uint64_t id;

	rebuilt_origin(uuid, &id, &generation);
	return checkpoints_of_origin(checkpoints, id, generation, out) &&
	       memcmp(out->uuid, uuid, UUID_SIZE) == 0;
}
