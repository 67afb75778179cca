#include "archive/configs.h"

#include "cli/memory.h"
#include "base/name.h"
#include "archive/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 65536u

/* Reads fd to its end into *out, at most limit bytes. */
static int read_all(int fd, const char *path, uint32_t limit, struct text *out, struct error *err)
{
	uint8_t *bytes = NULL;
	uint32_t used = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (used == room) {
			room = room == 0 ? READ_STEP : room * 2;
			bytes = memory_grow(bytes, room, 1);
		}
		n = read(fd, bytes + used, room - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0)
			used += (uint32_t)n;
		if (n <= 0 || used > limit) {
			*out = (struct text){bytes, used};
			if (n < 0)
				return fail_system(err, errno, "config %s", path);
			if (used > limit)
				return fail(
					err, ERR_USAGE,
					"config %s: all configs together must be at most 15 MiB",
					path);
			return 0;
		}
	}
}

static int read_config(const char *path, const struct sink *sink, uint32_t limit, struct text *out,
		       struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result;
	struct stat found;

	if (fd < 0)
		return fail_system(err, errno, "config %s", path);
	if (fstat(fd, &found) == 0 && sink_is(sink, &found))
		result = fail(err, ERR_USAGE, "config %s: is what is to be written", path);
	else
		result = read_all(fd, path, limit, out, err);
	close(fd);
	return result;
}

static int check_name(const char *argument, const struct archive *archive, struct text name,
		      struct error *err)
{
	if (!name_usable(name.bytes, name.length))
		return fail(err, ERR_USAGE,
			    "config '%s': only letters, digits and ._+@%%:- may be in its name, "
			    "the first a "
			    "letter, digit or _, at most %u; give another as -c NAME=FILE",
			    argument, NAME_MAX_LENGTH);
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		struct text other = archive->configs[i].name;

		if (other.length == name.length &&
		    memcmp(other.bytes, name.bytes, name.length) == 0)
			return fail(err, ERR_USAGE,
				    "config '%s': that name is taken already; give "
				    "another as -c NAME=FILE",
				    argument);
	}
	if (archive->n_configs == CONFIGS_MAX)
		return fail(err, ERR_USAGE, "config '%s': too many", argument);
	return 0;
}

int configs_read(const struct strings *files, const struct sink *sink, struct archive *archive,
		 struct error *err)
{
	uint32_t left = CONFIGS_SIZE_MAX;

	for (unsigned i = 0; i < files->n; i++) {
		const char *argument = files->items[i];
		size_t length = name_prefix(argument);
		const char *path = length > 0 ? argument + length + 1 : argument;
		const char *name = length > 0 ? argument : base_name(path);
		struct archive_config *config = &archive->configs[archive->n_configs];

		if (*path == '\0')
			return fail(err, ERR_USAGE, "config '%s': no file named", argument);
		config->name.bytes = (const uint8_t *)name;
		config->name.length = (uint32_t)(length > 0 ? length : strlen(name));
		if (check_name(argument, archive, config->name, err) < 0)
			return err->code;
		archive->n_configs++;
		if (read_config(path, sink, left, &config->data, err) < 0)
			return err->code;
		left -= config->data.length;
	}
	return 0;
}

void configs_free(struct archive *archive)
{
	for (uint32_t i = 0; i < archive->n_configs; i++)
		free((void *)(uintptr_t)archive->configs[i].data.bytes);
	archive->n_configs = 0;
}
