#include "machine/mirror_file.h"

#include "base/io.h"
#include "base/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (1u << 20) /* bytes */

static int read_text(const char *path, char **out, size_t *n, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), sys;
	char *text;

	*out = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_system(err, errno, "%s", path);
	text = malloc(FILE_MAX);
	sys = text == NULL ? ENOMEM : io_read(fd, text, FILE_MAX, n);
	close(fd);
	if (sys != 0) {
		free(text);
		return fail_system(err, sys, "%s", path);
	}
	*out = text;
	return 0;
}

int mirror_file_foreign(const char *path, struct error *err)
{
	return fail(err, ERR_USAGE, "%s: is not the state of a mirror of this kind", path);
}

int mirror_file_read(const char *path, struct json_t **out, struct error *err)
{
	size_t n_bytes = 0;
	char *text;

	*out = NULL;
	TRY(read_text(path, &text, &n_bytes, err));
	if (text == NULL)
		return 0;
	*out = json_parse(text, n_bytes);
	free(text);
	return *out == NULL ? mirror_file_foreign(path, err) : 0;
}

static int put_text(const char *path, const char *text, bool durable, struct error *err)
{
	struct newfile *temp = NULL;
	int fd, sys;

	TRY(newfile_create(&temp, &fd, path, err));
	sys = io_write(fd, text, strlen(text));
	if (sys == 0)
		sys = io_write(fd, "\n", 1);
	if (sys == 0 && durable && fsync(fd) < 0)
		sys = errno;
	if (close(fd) < 0 && sys == 0)
		sys = errno;
	int code = sys != 0 ? fail_system(err, sys, "%s", path)
			    : newfile_publish(temp, true, durable, err);
	newfile_free(temp);
	return code;
}

int mirror_file_write(const char *path, struct json_t *object, bool durable, struct error *err)
{
	char *text = json_line(object);
	int code = text == NULL ? fail_memory(err) : put_text(path, text, durable, err);

	free(text);
	json_free(object);
	return code;
}
