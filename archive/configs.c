#include "archive/configs.h"

#include "archive/create_plan.h"
#include "base/io.h"
#include "base/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 65536u

static int too_large(const char *name, struct error *err)
{
	return fail(err, ERR_USAGE, "config %s: all configs together must be at most 15 MiB", name);
}

/* Reads fd to its end, at most limit bytes. *out is owned by the caller, also after a failure. */
static int read_all(int fd, const char *path, uint32_t limit, struct text *out, struct error *err)
{
	uint8_t *bytes = NULL, *more;
	uint32_t room = 0;

	while (out->length == room) {
		size_t got;
		int sys;

		room = room == 0 ? READ_STEP : room * 2;
		more = realloc(bytes, room);
		if (more == NULL)
			return fail_memory(err);
		out->bytes = bytes = more;
		sys = io_read(fd, bytes + out->length, room - out->length, &got);
		if (sys != 0)
			return fail_system(err, sys, "config %s", path);
		out->length += (uint32_t)got;
		if (out->length > limit)
			return too_large(path, err);
	}
	return 0;
}

/* Of a machine: its process owns the file, and may put a link or a pipe in its place. */
#define OF_MACHINE (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

static int read_file(const char *path, int flags, const char *output, uint32_t limit,
		     struct text *out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags), code;
	struct stat found;

	if (fd < 0 && errno == ELOOP && flags != 0)
		return fail(err, ERR_SYSTEM, "config %s: is a link", path);
	if (fd < 0 || fstat(fd, &found) != 0) {
		fail_system(err, errno, "config %s", path);
		if (fd >= 0)
			close(fd);
		return err->code;
	}
	if (flags != 0 && !S_ISREG(found.st_mode))
		code = fail(err, ERR_SYSTEM, "config %s: is not a file", path);
	else if (create_plan_overwrites(output, &found))
		code = fail(err, ERR_USAGE, "config %s: is the output itself", path);
	else
		code = read_all(fd, path, limit, out, err);
	close(fd);
	return code;
}

static uint32_t bytes_left(const struct archive *archive)
{
	uint32_t left = CONFIGS_SIZE_MAX;

	for (uint32_t i = 0; i < archive->n_configs; i++)
		left -= archive->configs[i].data.length;
	return left;
}

bool configs_have(const struct archive *archive, struct text name)
{
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		struct text other = archive->configs[i].name;

		if (other.length == name.length &&
		    memcmp(other.bytes, name.bytes, name.length) == 0)
			return true;
	}
	return false;
}

static int check_name(const char *argument, const struct archive *archive, struct text name,
		      struct error *err)
{
	if (!name_usable(name.bytes, name.length))
		return fail(err, ERR_USAGE,
			    "config '%s': only letters, digits and ._+@%%:- may be in its name, "
			    "the first a letter, digit or _, at most %u; give another as "
			    "-c NAME=FILE",
			    argument, NAME_MAX_LENGTH);
	if (configs_have(archive, name))
		return fail(err, ERR_USAGE,
			    "config '%s': that name is taken already; give another as "
			    "-c NAME=FILE",
			    argument);
	return 0;
}

/* Reads path into a new config. */
static int add_file(struct archive *archive, struct text name, const char *path, int flags,
		    const char *output, struct error *err)
{
	struct text data = {NULL, 0};
	int code;

	if (archive->n_configs == CONFIGS_MAX)
		return fail(err, ERR_USAGE, "config %s: too many", path);
	code = read_file(path, flags, output, bytes_left(archive), &data, err);
	if (code == 0)
		archive->configs[archive->n_configs++] = (struct archive_config){name, data};
	else
		free((void *)(uintptr_t)data.bytes);
	return code;
}

int configs_read(struct archive *archive, const struct strings *files, const char *output,
		 struct error *err)
{
	for (unsigned i = 0; i < files->n; i++) {
		const char *argument = files->items[i];
		size_t length = name_prefix(argument);
		const char *path = length > 0 ? argument + length + 1 : argument;
		const char *name = length > 0 ? argument : base_name(path);
		struct text text = {(const uint8_t *)name,
				    (uint32_t)(length > 0 ? length : strlen(name))};

		if (*path == '\0')
			return fail(err, ERR_USAGE, "config '%s': no file named", argument);
		TRY(check_name(argument, archive, text, err));
		TRY(add_file(archive, text, path, 0, output, err));
	}
	return 0;
}

int configs_read_file(struct archive *archive, const char *name, const char *path,
		      const char *output, struct error *err)
{
	struct text text = {(const uint8_t *)name, (uint32_t)strlen(name)};

	return add_file(archive, text, path, OF_MACHINE, output, err);
}

int configs_add(struct archive *archive, const char *name, struct text data, struct error *err)
{
	struct archive_config *config = &archive->configs[archive->n_configs];
	uint8_t *copy;

	if (archive->n_configs == CONFIGS_MAX)
		return fail(err, ERR_USAGE, "config %s: too many", name);
	if (data.length > bytes_left(archive))
		return too_large(name, err);
	copy = malloc(data.length == 0 ? 1 : data.length);
	if (copy == NULL)
		return fail_memory(err);
	if (data.length > 0)
		memcpy(copy, data.bytes, data.length);
	config->name = (struct text){(const uint8_t *)name, (uint32_t)strlen(name)};
	config->data = (struct text){copy, data.length};
	archive->n_configs++;
	return 0;
}

void configs_free(struct archive *archive)
{
	for (uint32_t i = 0; i < archive->n_configs; i++)
		free((void *)(uintptr_t)archive->configs[i].data.bytes);
	archive->n_configs = 0;
}
