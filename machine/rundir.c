#include "machine/rundir.h"

#include "base/clock.h"
#include "base/name.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_PATH_MAX 100u /* bytes; the system takes 107, and a temporary name is longer */
#define END_SIZE	(sizeof("/vmabak-/nbd") + RUN_ID_SIZE)

void run_id_make(char id[RUN_ID_SIZE])
{
	uint32_t number = 0;

	if (getrandom(&number, sizeof(number), 0) < 0)
		number = (uint32_t)clock_ms();
	snprintf(id, RUN_ID_SIZE, "%08x", number);
}

static char *end_of_path(char end[END_SIZE], const char *id)
{
	snprintf(end, END_SIZE, "/vmabak-%s/nbd", id);
	return end;
}

char *rundir_path(const char *id)
{
	const char *folder = getenv("TMPDIR");
	char end[END_SIZE];

	end_of_path(end, id);
	if (folder == NULL || *folder != '/' || strlen(folder) + strlen(end) > SOCKET_PATH_MAX ||
	    strchr(folder, '?') != NULL)
		folder = "/tmp";
	return text_make("%s%s", folder, end);
}

int rundir_path_in(char **out, const char *folder, const char *id, struct error *err)
{
	char end[END_SIZE];

	end_of_path(end, id);
	if (*folder != '/' || strlen(folder) + strlen(end) > SOCKET_PATH_MAX)
		return fail(err, ERR_USAGE,
			    "--scratch '%.120s': must begin with a / and be short enough for a "
			    "socket in it",
			    folder);
	*out = text_make("%s%s", folder, end);
	return *out == NULL ? fail_memory(err) : 0;
}

char *rundir_uri(const char *path, const char *export)
{
	char *escaped = calloc(strlen(path) + 1, 3), *at = escaped, *uri;

	if (escaped == NULL)
		return NULL;
	for (const char *from = path; *from != '\0'; from++) {
		if (isalnum((unsigned char)*from) || strchr("/._-", *from) != NULL)
			*at++ = *from;
		else
			at += sprintf(at, "%%%02X", (unsigned char)*from);
	}
	uri = text_make("nbd+unix:///%s?socket=%s", export, escaped);
	free(escaped);
	return uri;
}

char *rundir_file(const char *path, unsigned number)
{
	return text_make("%.*s%u", (int)(base_name(path) - path), path, number);
}

bool rundir_fits(const char *path, const char *id)
{
	char end[END_SIZE];

	return *path == '/' && has_ending(path, end_of_path(end, id));
}

bool rundir_id(const char *path, char id[RUN_ID_SIZE])
{
	size_t length = strlen(path), tail = RUN_ID_SIZE - 1 + strlen("/nbd");

	if (length <= tail)
		return false;
	memcpy(id, path + length - tail, RUN_ID_SIZE - 1);
	id[RUN_ID_SIZE - 1] = '\0';
	return strspn(id, "0123456789abcdef") == RUN_ID_SIZE - 1 && rundir_fits(path, id);
}

char *rundir_folder(const char *path)
{
	return text_make("%.*s", (int)(base_name(path) - path - 1), path);
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
	char *folder = rundir_folder(path);
	struct stat found;
	int fd;

	if (folder == NULL)
		return fail_memory(err);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
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
	char *folder = rundir_folder(path);
	int code = 0;

	if (folder == NULL)
		return fail_memory(err);
	if (mkdir(folder, 0700) < 0 && (errno != EEXIST || !is_ours(folder)))
		code = errno == EEXIST
			       ? fail(err, ERR_USAGE,
				      "%s: belongs to another user (TMPDIR or --scratch chooses "
				      "another place)",
				      folder)
			       : fail_system(err, errno, "%s (TMPDIR or --scratch chooses where)",
					     folder);
	free(folder);
	return code;
}

int rundir_open(const char *path, gid_t group, struct error *err)
{
	int folder = open_folder(path, err), code = 0;
	const char *name = base_name(path);

	if (folder < 0)
		return err->code;
	/* Nobody else can put anything into the folder, so what is in it is what was made. */
	if (fchown(folder, (uid_t)-1, group) < 0 || fchmod(folder, 0710) < 0 ||
	    fchownat(folder, name, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(folder, name, 0660, 0) < 0)
		code = fail_system(err, errno, "%s", path);
	close(folder);
	return code;
}

int rundir_admit(const char *path, gid_t group, struct error *err)
{
	int folder = open_folder(path, err), code = 0;

	if (folder < 0)
		return err->code;
	if (fchown(folder, (uid_t)-1, group) < 0 || fchmod(folder, 0730) < 0)
		code = fail_system(err, errno, "%.*s", (int)(base_name(path) - path - 1), path);
	close(folder);
	return code;
}

int rundir_lock(const char *path)
{
	char *folder = rundir_folder(path);
	int fd =
		folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

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
	char *folder = rundir_folder(path);

	if (folder != NULL && is_ours(folder))
		rmdir(folder);
	free(folder);
}
