#include "drive/argument.h"

#include "base/name.h"
#include "base/parse.h"
#include "drive/qemuimg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool has_image_option(const struct drive_suffix *suffix, const char *pair, size_t length)
{
	for (unsigned i = 0; i < suffix->n_image; i++) {
		if (strncmp(suffix->image[i], pair, length) == 0)
			return true;
	}
	return false;
}

/* Takes a name of what a source has: true, unless it is there already. */
static bool take_once(const char **to, const char *value)
{
	if (*to != NULL || *value == '\0')
		return false;
	*to = value;
	return true;
}

static const char **source_option(struct drive_suffix *out, const char *pair, size_t length)
{
	return strncmp(pair, "snapshot=", length) == 0	   ? &out->snapshot
	       : strncmp(pair, "since=", length) == 0	   ? &out->since
	       : strncmp(pair, "bitmap=", length) == 0	   ? &out->bitmap
	       : strncmp(pair, "reflink-of=", length) == 0 ? &out->reflink_of
							   : NULL;
}

/* Takes KEY=VALUE; false: it is none that is known, or was there. */
static bool take(struct drive_suffix *out, const char *pair, const char *value)
{
	size_t length = (size_t)(value - pair);
	const char **text = source_option(out, pair, length);
	uint64_t size;

	if (text != NULL)
		return take_once(text, value);
	if (strncmp(pair, "format=", length) == 0 && out->format == NULL && is_image_format(value))
		out->format = value;
	else if (strncmp(pair, "secret=", length) == 0 && out->secret == NULL && *value != '\0')
		out->secret = value;
	else if (strncmp(pair, "size=", length) == 0 && out->size_bytes == 0 &&
		 parse_size(value, &size) && size <= INT64_MAX)
		out->size_bytes = size;
	else if (image_option_is_known(pair, length - 1) && !has_image_option(out, pair, length) &&
		 out->n_image < IMAGE_OPTIONS_MAX)
		out->image[out->n_image++] = pair;
	else
		return false;
	return true;
}

void drive_suffix_cut(char *text, struct drive_suffix *out)
{
	char *comma, *equals;

	*out = (struct drive_suffix){0};
	while ((comma = strrchr(text, ',')) != NULL) {
		equals = strchr(comma, '=');
		if (equals == NULL || !take(out, comma + 1, equals + 1))
			return;
		*comma = '\0';
	}
}

int drive_argument_parse(const char *argument, struct drive_argument *out, struct error *err)
{
	char *copy = strdup(argument);
	struct drive_argument result = {.copy = copy, .path = copy};
	size_t length;

	if (copy == NULL)
		return fail_system(err, errno, "drive '%s'", argument);
	drive_suffix_cut(copy, &result.suffix);
	length = name_prefix(copy);
	if (length > 0) {
		copy[length] = '\0';
		result.name = copy;
		result.path = copy + length + 1;
	}
	if (result.suffix.n_image > 0) {
		fail(err, ERR_USAGE, "%s: ,%s is for an image that a restore makes", argument,
		     result.suffix.image[0]);
		free(copy);
		return ERR_USAGE;
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

int drive_suffix_check_plain(const struct drive_suffix *suffix, const char *argument,
			     struct error *err)
{
	if (suffix->snapshot == NULL && suffix->since == NULL && suffix->bitmap == NULL &&
	    suffix->reflink_of == NULL)
		return 0;
	return fail(err, ERR_USAGE,
		    "%s: ,snapshot=, ,since=, ,bitmap= and ,reflink-of= are for "
		    "drives of a backup",
		    argument);
}
