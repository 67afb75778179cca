#include "archive/folder_doubt.h"
#include "archive/peek.h"
#include "archive/shelf_kind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int open_folder(struct shelf *shelf, struct error *err)
{
	DIR *entries = opendir(shelf->path);

	if (entries == NULL)
		return fail_system(err, errno, "%s", shelf->path);
	shelf->own = entries;
	shelf->fd = dirfd(entries);
	return 0;
}

/* What vanishes meanwhile is passed over. */
static int next(struct shelf *shelf, const char **name, struct stat *status, struct error *err)
{
	struct dirent *entry;

	while (errno = 0, (entry = readdir(shelf->own)) != NULL) {
		if (fstatat(shelf->fd, entry->d_name, status, 0) != 0)
			continue;
		*name = entry->d_name;
		return 1;
	}
	return errno != 0 ? fail_system(err, errno, "folder %s", shelf->path) : 0;
}

static bool has(struct shelf *shelf, const char *name)
{
	struct stat status;

	return fstatat(shelf->fd, name, &status, 0) == 0;
}

static int peek(struct shelf *shelf, const char *name, uint8_t uuid[UUID_SIZE], struct error *err)
{
	int sys;

	if (peek_archive(shelf->fd, name, uuid, &sys))
		return 1;
	return sys != 0 ? fail_system(err, sys, "%s/%s", shelf->path, name) : 0;
}

static bool doubt(struct shelf *shelf, const char *name, char *why, size_t size)
{
	return folder_doubt(shelf->fd, name, why, size);
}

static int may_remove(struct shelf *shelf, const char *name, struct error *err)
{
	(void)shelf, (void)name, (void)err;
	return 0;
}

static int remove_file(struct shelf *shelf, const char *name, struct error *err)
{
	if (unlinkat(shelf->fd, name, 0) != 0)
		return errno == ENOENT
			       ? 0
			       : fail_system(err, errno, "%s/%s: removing it", shelf->path, name);
	/* Some network file systems have no such thing for a folder. */
	if (fsync(shelf->fd) != 0 && errno != EINVAL && errno != EOPNOTSUPP)
		return fail_system(err, errno, "%s: syncing the folder", shelf->path);
	return 0;
}

static void close_folder(struct shelf *shelf)
{
	if (shelf->own != NULL)
		closedir(shelf->own);
}

const struct shelf_ops shelf_folder_ops = {
	.open = open_folder,
	.next = next,
	.has = has,
	.peek = peek,
	.doubt = doubt,
	.may_remove = may_remove,
	.remove = remove_file,
	.close = close_folder,
};
