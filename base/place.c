#include "base/place.h"

#include "base/name.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The kernel's file system of device nodes, wherever it is mounted. statfs cannot distinguish it
 * from other tmpfs. */
static bool is_devtmpfs(dev_t device)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	unsigned long major_number, minor_number;
	char line[4096];
	bool found = false;

	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
		found = sscanf(line, "%*u %*u %lu:%lu", &major_number, &minor_number) == 2 &&
			makedev(major_number, minor_number) == device &&
			strstr(line, " - devtmpfs ") != NULL;
	if (file != NULL)
		fclose(file);
	return found;
}

static bool begins(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* A container's /dev is a tmpfs with some nodes in it; a chroot's is a plain folder. */
static bool is_below_dev(int folder, dev_t device)
{
	char link[64], path[PATH_MAX];
	struct stat dev, root;

	if (stat("/dev", &dev) != 0 || dev.st_dev != device)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < 0) /* no /proc here */
		return stat("/", &root) == 0 && root.st_dev != device;
	path[n] = '\0';
	return begins(path, "/dev") && !begins(path, "/dev/shm");
}

bool place_has_devices(const char *folder)
{
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return false;
	bool result =
		fstat(fd, &st) == 0 && (is_devtmpfs(st.st_dev) || is_below_dev(fd, st.st_dev));
	close(fd);
	return result;
}

int place_check(const char *path, struct error *err)
{
	char folder[PATH_MAX] = ".";
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	if (n > 0 && n < sizeof(folder))
		snprintf(folder, sizeof(folder), "%.*s", (int)n, path);
	if (!place_has_devices(folder))
		return 0;
	return fail(err, ERR_USAGE, "%s: no such device, and no files are created in /dev", path);
}

/* Whether one user alone, and root, can make files there, and it is this user's, root's, or that
 * one's. */
static bool is_private(const char *path, uid_t owner)
{
	char folder[PATH_MAX];
	struct stat st;

	snprintf(folder, sizeof(folder), "./%.*s", (int)(base_name(path) - path), path);
	return stat(*path == '/' ? folder + 2 : folder, &st) == 0 && (st.st_mode & 022) == 0 &&
	       (st.st_uid == geteuid() || st.st_uid == 0 || st.st_uid == owner);
}

int place_check_own(const char *path, const struct stat *st, struct error *err)
{
	if ((st->st_uid == geteuid() && (st->st_mode & 022) == 0) || is_private(path, st->st_uid))
		return 0;
	return fail(err, ERR_USAGE,
		    "%s: belongs to another user, or others may write to it, in a folder where "
		    "others may make files: it may not be what vmabak has left",
		    path);
}

int place_make_folder(const char *path, bool *made, struct error *err)
{
	struct stat found;

	*made = false;
	if (lstat(path, &found) < 0)
		TRY(place_check(path, err));
	if (mkdir(path, 0700) == 0) {
		*made = true;
		return 0;
	}
	if (errno == ENOENT)
		return fail(err, ERR_SYSTEM,
			    "%s: the folder above it does not exist; make that first (mkdir -p)",
			    path);
	if (errno != EEXIST)
		return fail_system(err, errno, "%s", path);
	if (stat(path, &found) == 0 && !S_ISDIR(found.st_mode))
		return fail(err, ERR_USAGE, "%s: is not a folder", path);
	return 0;
}
