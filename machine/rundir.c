#include "machine/rundir.h"

#include "cli/memory.h"
#include "base/name.h"
#include "machine/qemu/qmp.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_PATH_MAX 100u /* bytes; the system takes 107, and a temporary name is longer */

static char *end_of_path(const char *id)
{
	return memory_text("/vmabak-%s/nbd", id);
}

char *rundir_path(const char *id)
{
	const char *folder = getenv("TMPDIR");
	char *end = end_of_path(id), *path;

	if (folder == NULL || *folder != '/' || strlen(folder) + strlen(end) > SOCKET_PATH_MAX ||
	    strchr(folder, '?') != NULL)
		folder = "/tmp";
	path = memory_text("%s%s", folder, end);
	free(end);
	return path;
}

int rundir_path_in(char **out, const char *folder, const char *id, struct error *err)
{
	char *end = end_of_path(id);
	bool fits = *folder == '/' && strlen(folder) + strlen(end) <= SOCKET_PATH_MAX;

	if (fits)
		*out = memory_text("%s%s", folder, end);
	free(end);
	return fits ? 0
		    : fail(err, ERR_USAGE,
			   "--scratch '%.120s': must begin with a / and be short enough for a "
			   "socket in it",
			   folder);
}

char *rundir_uri(const char *path, const char *export)
{
	char *escaped = memory_new(strlen(path) + 1, 3), *at = escaped, *uri;

	for (const char *from = path; *from != '\0'; from++) {
		if (isalnum((unsigned char)*from) || strchr("/._-", *from) != NULL)
			*at++ = *from;
		else
			at += sprintf(at, "%%%02X", (unsigned char)*from);
	}
	uri = memory_text("nbd+unix:///%s?socket=%s", export, escaped);
	free(escaped);
	return uri;
}

char *rundir_file(const char *path, unsigned number)
{
	return memory_text("%.*s%u", (int)(base_name(path) - path), path, number);
}

bool rundir_fits(const char *path, const char *id)
{
	char *end = end_of_path(id);
	bool result = *path == '/' && has_ending(path, end);

	free(end);
	return result;
}

static char *folder_of(const char *path)
{
	return memory_text("%.*s", (int)(base_name(path) - path - 1), path);
}

static bool is_ours(const char *folder)
{
	struct stat found;

	return lstat(folder, &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == geteuid();
}

/* The folder of the path. Whoever may write where the folder lies may put another in its place, or
 * a link, so what is changed of it is changed by this descriptor. */
static int open_folder(const char *path, struct error *err)
{
	char *folder = folder_of(path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;

	if (fd < 0) {
		fail_system(err, errno, "%s", folder);
	} else if (fstat(fd, &found) < 0 || found.st_uid != geteuid()) {
		fail(err, ERR_SYSTEM, "%s: belongs to another user", folder);
		close(fd);
		fd = -1;
	}
	free(folder);
	return fd;
}

int rundir_make(const char *path, struct error *err)
{
	char *folder = folder_of(path);
	int result = 0;

	if (mkdir(folder, 0700) < 0 && (errno != EEXIST || !is_ours(folder)))
		result = fail_system(err, errno, "%s (TMPDIR or --scratch chooses where)", folder);
	free(folder);
	return result;
}

int rundir_open(const char *path, const struct qmp *qmp, struct error *err)
{
	const char *name = base_name(path);
	struct ucred peer;
	int folder, result = 0;

	if (geteuid() != 0 || !qmp_peer(qmp, &peer) || peer.uid == 0)
		return 0;
	folder = open_folder(path, err);
	if (folder < 0)
		return err->code;
	/* Nobody else can put anything into the folder, so what is in it is what was made. */
	if (fchown(folder, (uid_t)-1, peer.gid) < 0 || fchmod(folder, 0710) < 0 ||
	    fchownat(folder, name, (uid_t)-1, peer.gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(folder, name, 0660, 0) < 0)
		result = fail_system(err, errno, "%s", path);
	close(folder);
	return result;
}

int rundir_admit(const char *path, gid_t group, struct error *err)
{
	int folder = open_folder(path, err), result = 0;

	if (folder < 0)
		return err->code;
	if (fchown(folder, (uid_t)-1, group) < 0 || fchmod(folder, 0730) < 0)
		result = fail_system(err, errno, "%.*s", (int)(base_name(path) - path - 1), path);
	close(folder);
	return result;
}

int rundir_lock(const char *path)
{
	char *folder = folder_of(path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	free(folder); /* which leaves errno alone */
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		errno = EWOULDBLOCK;
		fd = -1;
	}
	return fd;
}

void rundir_remove(const char *path)
{
	char *folder = folder_of(path);

	if (is_ours(folder))
		rmdir(folder);
	free(folder);
}
