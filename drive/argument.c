#include "drive/argument.h"

#include "base/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int drive_argument_parse(const char *argument, struct drive_argument *out, struct error *err)
{
	char *copy = strdup(argument);
	struct drive_argument result = {.copy = copy, .path = copy};
	size_t length;

	if (copy == NULL)
		return fail_system(err, errno, "drive '%s'", argument);
	result.format = name_cut_format(copy);
	result.secret = name_cut_option(copy, "secret");
	if (result.format == NULL)
		result.format = name_cut_format(copy);
	length = name_prefix(copy);
	if (length > 0) {
		copy[length] = '\0';
		result.name = copy;
		result.path = copy + length + 1;
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
