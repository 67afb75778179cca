#include "cow/generation.h"

#include "base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "map:"
#define DIGITS 16u /* of the id */

const char *map_trust_text(enum map_trust trust)
{
	static const char *const texts[] = {
		[MAP_NEW] = "new",
		[MAP_CLEAN] = "clean",
		[MAP_KILLED] = "killed",
		[MAP_RECOVERED] = "recovered",
		[MAP_MACHINE_DIED] = "machine-died",
		[MAP_DRIVE_CHANGED] = "drive-changed",
		[MAP_OTHER_DRIVE] = "other-drive",
		[MAP_DAMAGED] = "damaged",
		[MAP_UNSURE] = "unsure",
		[MAP_FILE_FAILED] = "failed",
	};

	return texts[trust];
}

char *generation_token(char out[GENERATION_TOKEN_SIZE], uint64_t id, uint16_t g)
{
	snprintf(out, GENERATION_TOKEN_SIZE, PREFIX "%016" PRIx64 ":%u", id, g);
	return out;
}

bool generation_parse_token(const char *text, uint64_t *id, uint16_t *g)
{
	uint64_t found = 0, number;

	if (strncmp(text, PREFIX, sizeof(PREFIX) - 1) != 0)
		return false;
	text += sizeof(PREFIX) - 1;
	for (unsigned i = 0; i < DIGITS; i++) {
		int digit = parse_hex_digit(text[i]);
		if (digit < 0)
			return false;
		found = found << 4 | (unsigned)digit;
	}
	if (text[DIGITS] != ':' || !parse_number(text + DIGITS + 1, &number) ||
	    number > GENERATION_MAX)
		return false;
	*id = found;
	*g = (uint16_t)number;
	return true;
}
