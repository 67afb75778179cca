#include "archive/changes_formats.h"

#include <stdio.h>
#include <string.h>

#define LOOKED_AT 4096u

static bool is_own(const char *bytes, size_t n)
{
	(void)n;
	return strncmp(bytes, "# vmabak changes ", 17) == 0;
}

static const struct changes_format formats[] = {
	{"own", changelist_own, is_own, 0},
};

#define N_FORMATS (sizeof(formats) / sizeof(formats[0]))

const struct changes_format *changes_format_find(const char *name)
{
	for (size_t i = 0; i < N_FORMATS; i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

int changes_format_recognise(const struct changes_format **out, struct changelist *list,
			     struct error *err)
{
	char begin[LOOKED_AT + 1];
	const uint8_t *bytes;
	size_t n;

	TRY(changelist_peek(list, LOOKED_AT, &bytes, &n, err));
	memcpy(begin, bytes, n);
	begin[n] = '\0';
	for (size_t i = 0; i < N_FORMATS; i++)
		if (formats[i].is != NULL && formats[i].is(begin, n)) {
			*out = &formats[i];
			return 0;
		}
	return fail(err, ERR_DAMAGED,
		    n == 0 ? "is empty" : "is no change list that is known by its content");
}

const char *changes_format_names(char *out, size_t size)
{
	size_t used = 0;

	*out = '\0';
	for (size_t i = 0; i < N_FORMATS && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i == 0 ? "" : " ",
					 formats[i].name);
	return out;
}
