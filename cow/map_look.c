#include "cow/map_parts.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

static int read_header(struct map_look *file, struct error *err)
{
	uint8_t page[MAP_HEADER_SIZE] = {0};
	struct stat found;

	if (fstat(file->fd, &found) != 0)
		return fail_system(err, errno, "map %s", file->path);
	if (!S_ISREG(found.st_mode))
		return fail(err, ERR_USAGE, "map %s: is not a regular file", file->path);
	if (pread(file->fd, page, sizeof(page), 0) < 0)
		return fail_system(err, errno, "map %s", file->path);
	return map_header_get(&file->header, page, file->path, err);
}

static int lock(const struct map_look *file, bool writable, struct error *err)
{
	if (flock(file->fd, (writable ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK
		       ? fail(err, ERR_LOCKED, "map %s: is in use; ask whoever uses it", file->path)
		       : fail_system(err, errno, "map %s: locking", file->path);
}

int map_look_open(struct map_look *out, const char *path, bool writable, struct error *err)
{
	int code;

	*out = (struct map_look){.path = path};
	out->fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (out->fd < 0)
		return fail_system(err, errno, "map %s", path);
	code = lock(out, writable, err);
	if (code == 0)
		code = read_header(out, err);
	if (code == 0 && writable && out->header.state != MAP_STATE_CLEAN)
		code = fail(err, ERR_USAGE,
			    "map %s: was not closed in order; it has to be opened, by serve or by "
			    "a backup, before it can be changed",
			    path);
	if (code < 0)
		close(out->fd);
	return code;
}

int map_look_read(const struct map_look *file, struct error *err)
{
	uint64_t sum;

	return map_read(file->fd, &file->memory, &file->header, false, &sum)
		       ? 0
		       : fail(err, ERR_DAMAGED, "map %s: is damaged", file->path);
}

int map_look_write_tables(const struct map_look *file, struct error *err)
{
	const struct map_memory *memory = &file->memory;
	int sys;

	/* One of version 1 has none, so nothing of them was changed. */
	if (file->header.version == 1)
		return 0;
	sys = io_pwrite(file->fd, memory->bytes + memory->tables_at, MAP_TABLES * MAP_TABLE_SIZE,
			memory->tables_at, 0);
	if (sys == 0 && fsync(file->fd) != 0)
		sys = errno;
	return sys == 0 ? 0 : fail_system(err, sys, "map %s: writing", file->path);
}

void map_look_close(struct map_look *file)
{
	close(file->fd);
}
