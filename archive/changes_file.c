#include "archive/changes_file.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALIGNMENT 4096u

static int more(void *context, uint8_t *to, size_t n, size_t *got, struct error *err)
{
	const struct changes_file *file = context;
	int code = io_read(file->fd, to, n, got);

	return code == 0 ? 0 : fail_system(err, code, "reading it");
}

static int skip(void *context, uint64_t n, struct error *err)
{
	const struct changes_file *file = context;
	off_t here = lseek(file->fd, 0, SEEK_CUR);
	uint8_t buffer[4096];

	if (here >= 0 && n <= (uint64_t)(INT64_MAX - here) &&
	    lseek(file->fd, here + (off_t)n, SEEK_SET) >= 0)
		return 0;
	while (n > 0) {
		size_t got, part = n < sizeof(buffer) ? (size_t)n : sizeof(buffer);

		TRY(more(context, buffer, part, &got, err));
		if (got == 0)
			break; /* whoever reads on sees the end */
		n -= got;
	}
	return 0;
}

/* The kernel writes the store of a snapshot past the page cache, where old blocks of it may be. */
static int open_list(const char *path, struct error *err)
{
	struct stat found;
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
					: open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || fstat(fd, &found) != 0)
		return fail_system(err, errno, "opening it");
	if (S_ISDIR(found.st_mode)) {
		close(fd);
		return fail_system(err, EISDIR, "opening it");
	}
	if (S_ISBLK(found.st_mode) && fcntl(fd, F_SETFL, O_DIRECT) != 0) {
		int code = errno;

		close(fd);
		return fail_system(err, code, "reading it past the page cache");
	}
	return fd;
}

int changes_file_open(struct changes_file *out, const char *path, struct changelist *list,
		      struct error *err)
{
	*out = (struct changes_file){.fd = -1};
	out->window = aligned_alloc(ALIGNMENT, CHANGELIST_WINDOW);
	if (out->window == NULL)
		return fail_memory(err);
	out->fd = open_list(path, err);
	if (out->fd < 0)
		return err->code;
	list->more = more;
	list->skip = skip;
	list->context = out;
	list->window = out->window;
	return 0;
}

void changes_file_close(struct changes_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->window);
}
