#include "machine/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *mirror_full_path(const char *path)
{
	char *full = realpath(path, NULL), *copy, *slash, *folder;
	size_t size;

	if (full != NULL || errno != ENOENT)
		return full;
	copy = strdup(path);
	if (copy == NULL)
		return NULL;
	slash = strrchr(copy, '/');
	if (slash != NULL)
		*slash = '\0';
	folder = realpath(slash == NULL ? "." : slash == copy ? "/" : copy, NULL);
	const char *name = slash == NULL ? copy : slash + 1;
	size = folder == NULL ? 0 : strlen(folder) + strlen(name) + 2;
	full = folder == NULL ? NULL : malloc(size);
	if (full != NULL)
		snprintf(full, size, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
	free(folder);
	free(copy);
	return full;
}
