#include "device/tree.h"

#include "base/io.h"
#include "base/name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct tree {
	char path[PATH_MAX], part[PATH_MAX]; /* part: "" once there is nothing to remove */
	int fd;
};

static int make(struct tree *tree, const char *path, struct error *err)
{
	struct stat found;
	int n = snprintf(tree->path, sizeof(tree->path), "%s", path);
	const char *name;

	while (n > 1 && n < PATH_MAX && tree->path[n - 1] == '/')
		tree->path[--n] = '\0';
	if (n >= PATH_MAX - 20)
		return fail_system(err, ENAMETOOLONG, "%.300s", path);
	if (lstat(tree->path, &found) == 0)
		return fail(err, ERR_USAGE, "%.500s: exists already", tree->path);
	name = base_name(tree->path);
	snprintf(tree->part, sizeof(tree->part), "%.*s.%.200s.part-XXXXXX",
		 (int)(name - tree->path), tree->path, name);
	if (mkdtemp(tree->part) == NULL) {
		tree->part[0] = '\0';
		return fail_system(err, errno, "%.500s", tree->path);
	}
	tree->fd = open(tree->part, FOLDER);
	return tree->fd < 0 ? fail_system(err, errno, "%.500s", tree->part) : 0;
}

int tree_make(struct tree **out, const char *path, struct error *err)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	int code;

	if (tree == NULL)
		return fail_memory(err);
	tree->fd = -1;
	code = make(tree, path, err);
	if (code == 0)
		*out = tree;
	else
		tree_free(tree);
	return code;
}

const char *tree_folder(const struct tree *tree)
{
	return tree->part;
}

int tree_publish(struct tree *tree, bool sync, struct error *err)
{
	int sys = 0;

	if (sync && syncfs(tree->fd) != 0)
		return fail_system(err, errno, "%.500s", tree->path);
	if (syscall(SYS_renameat2, AT_FDCWD, tree->part, AT_FDCWD, tree->path, RENAME_NOREPLACE) !=
	    0)
		sys = errno;
	/* Not every file system can do that; a folder replaces none but an empty one. */
	if (sys == EINVAL || sys == ENOSYS)
		sys = rename(tree->part, tree->path) != 0 ? errno : 0;
	if (sys == EEXIST || sys == ENOTEMPTY)
		return fail(err, ERR_USAGE, "%.500s: exists already", tree->path);
	if (sys == 0) {
		tree->part[0] = '\0';
		sys = sync ? io_sync_folder(tree->path) : 0;
	}
	return sys == 0 ? 0 : fail_system(err, sys, "%.500s", tree->path);
}

/* All that is in a folder, which it closes. */
static void remove_all(int folder)
{
	DIR *all = fdopendir(folder);
	const struct dirent *one;

	if (all == NULL)
		close(folder);
	while (all != NULL && (one = readdir(all)) != NULL) {
		int fd;

		if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0 ||
		    unlinkat(folder, one->d_name, 0) == 0)
			continue;
		if (errno == EISDIR)
			fchmodat(folder, one->d_name, 0700, 0);
		fd = openat(folder, one->d_name, FOLDER);
		if (fd >= 0)
			remove_all(fd);
		unlinkat(folder, one->d_name, AT_REMOVEDIR);
	}
	if (all != NULL)
		closedir(all);
}

void tree_free(struct tree *tree)
{
	if (tree == NULL)
		return;
	if (tree->part[0] != '\0' && tree->fd >= 0) {
		fchmod(tree->fd, 0700);
		remove_all(tree->fd);
		tree->fd = -1;
	}
	if (tree->part[0] != '\0')
		rmdir(tree->part);
	if (tree->fd >= 0)
		close(tree->fd);
	free(tree);
}

/* ---- what is in it ---- */

static int result(int returned)
{
	return returned < 0 ? errno : 0;
}

int tree_root(const struct tree *tree, int *fd)
{
	*fd = openat(tree->fd, ".", FOLDER);
	return result(*fd);
}

int tree_make_folder(int folder, const char *name, int *fd)
{
	if (mkdirat(folder, name, 0700) != 0)
		return errno;
	*fd = openat(folder, name, FOLDER);
	return result(*fd);
}

int tree_make_file(int folder, const char *name, int *fd)
{
	*fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return result(*fd);
}

int tree_make_link(int folder, const char *name, const char *target)
{
	return result(symlinkat(target, folder, name));
}

int tree_make_name(const struct tree *tree, const char *path, int folder, const char *name)
{
	return result(linkat(tree->fd, path, folder, name, 0));
}

void tree_remove_file(int folder, const char *name)
{
	unlinkat(folder, name, 0);
}

/* A bit that gives rights of the owner counts only with that owner. */
int tree_set_attributes(int fd, const char *name, const struct file_entry *entry, bool *owner_lost)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
					  {entry->time_s, (long)entry->time_ns}};
	bool is_link = entry->kind == ENTRY_LINK, owned = false;
	int at = fd, flags = name == NULL ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW, sys = 0;

	name = name == NULL ? "" : name;
	*owner_lost = false;
	if (entry->has_owner) {
		owned = fchownat(at, name, entry->uid, entry->gid, flags) == 0;
		*owner_lost = !owned;
	}
	if (entry->has_owner && !is_link && fchmod(fd, entry->mode & (owned ? 07777 : 0777)) != 0)
		sys = errno;
	if (!entry->has_time)
		return sys;
	if (is_link ? utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW) != 0
		    : futimens(fd, times) != 0)
		sys = errno;
	return sys;
}
