#include "base/name.h"

#include "base/text.h"

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

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

char *absolute_path(const char *path)
{
	const char *name = base_name(path);
	char *folder = name == path ? strdup(".") : text_make("%.*s", (int)(name - path), path);
	char *real = folder == NULL ? NULL : realpath(folder, NULL);
	char *result =
		real == NULL ? NULL : text_make("%s/%s", strcmp(real, "/") == 0 ? "" : real, name);

	free(folder);
	free(real);
	return result;
}

bool has_ending(const char *text, const char *ending)
{
	size_t length = strlen(text), end = strlen(ending);

	return length > end && strcmp(text + length - end, ending) == 0;
}
