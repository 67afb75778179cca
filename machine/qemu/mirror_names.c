#include "machine/qemu/mirror_parts.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIRROR "vmabak-mirror-"
#define KEEP   "vmabak-keep-"

char *mirror_name(char out[MIRROR_NAME_SIZE], const char *id, unsigned drive)
{
	snprintf(out, MIRROR_NAME_SIZE, MIRROR "%s-%u", id, drive);
	return out;
}

char *mirror_part(char out[MIRROR_NAME_SIZE], const char *id, unsigned drive, const char *part)
{
	snprintf(out, MIRROR_NAME_SIZE, MIRROR "%s-%u-%s", id, drive, part);
	return out;
}

char *mirror_keep_name(char out[MIRROR_NAME_SIZE], const char *id, unsigned generation)
{
	snprintf(out, MIRROR_NAME_SIZE, KEEP "%s-%u", id, generation);
	return out;
}

static bool is_name(const char *name, const char *begin, const char *id)
{
	size_t n = strlen(begin), n_id = RUN_ID_SIZE - 1;

	return name != NULL && strncmp(name, begin, n) == 0 &&
	       strspn(name + n, "0123456789abcdef") == n_id && name[n + n_id] == '-' &&
	       (id == NULL || strncmp(name + n, id, n_id) == 0);
}

bool mirror_name_is(const char *name, const char *id)
{
	return is_name(name, MIRROR, id);
}

bool mirror_keep_name_is(const char *name, const char *id)
{
	return is_name(name, KEEP, id);
}

/* One directory for a place, however it is written; of 32 bits, as an accident does no harm: the
 * other machine's mirror has to end first. */
char *mirror_rundir(const char *place)
{
	char *full = strncmp(place, "tcp:", 4) == 0 ? NULL : realpath(place, NULL);
	char id[RUN_ID_SIZE];
	uint32_t sum = 2166136261u;

	for (const char *at = full != NULL ? full : place; *at != '\0'; at++)
		sum = (sum ^ (uint8_t)*at) * 16777619u;
	free(full);
	snprintf(id, sizeof(id), "%08x", sum);
	return rundir_path(id);
}

char *mirror_control(const char *rundir)
{
	const char *slash = strrchr(rundir, '/');

	return text_make("%.*s/control", (int)(slash - rundir), rundir);
}
