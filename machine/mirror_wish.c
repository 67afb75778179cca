#include "machine/mirror.h"

#include "base/json.h"
#include "drive/argument.h"
#include "drive/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *full_path(const char *path)
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

int mirror_put_path(struct json_t *to, const char *key, const char *path, struct error *err)
{
	char *full = full_path(path);

	if (full == NULL)
		return fail_system(err, errno, "%s", path);
	json_put_text(to, key, full);
	free(full);
	return 0;
}

static int put_target(struct json_t *lines, const char *text, struct error *err)
{
	struct drive_argument argument;
	struct json_t *line;
	int code = 0;

	TRY(drive_argument_parse(text, &argument, err));
	if (argument.name == NULL)
		code = fail(err, ERR_USAGE, "-d '%s': must be NAME=TARGET", text);
	else if (argument.suffix.secret != NULL || argument.suffix.size_bytes != 0)
		code = fail(err, ERR_USAGE, "-d '%s': only ,format= may follow", text);
	else
		code = drive_suffix_check_plain(&argument.suffix, text, err);
	line = code == 0 ? json_add_object(lines) : NULL;
	json_put_text(line, "name", argument.name);
	json_put_text(line, "format", argument.suffix.format);
	if (code == 0 && target_is_uri(argument.path))
		json_put_text(line, "target", argument.path);
	else if (code == 0)
		code = mirror_put_path(line, "target", argument.path, err);
	drive_argument_free(&argument);
	return code;
}

int mirror_put_wish(struct json_t *request, const struct mirror_wish *wish, struct error *err)
{
	struct json_t *lines = json_put_array(request, "drives");

	if (wish->state != NULL)
		TRY(mirror_put_path(request, "state", wish->state, err));
	for (unsigned i = 0; i < wish->targets.n; i++)
		TRY(put_target(lines, wish->targets.items[i], err));
	return 0;
}
