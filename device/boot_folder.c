#include "device/boot_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHERE "/tmp"
#define BEGIN "vmabak-test-"
#define TRIES 10u

/* Whether nobody holds it, and it is still there. */
static bool hold(int fd)
{
	struct stat found;

	return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &found) == 0 && found.st_nlink > 0;
}

static void remove_if_dead(int where, const char *name)
{
	int fd = openat(where, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;

	if (fd < 0)
		return;
	if (fstat(fd, &found) == 0 && found.st_uid == geteuid() && hold(fd)) {
		unlinkat(fd, "nbd", 0);
		unlinkat(fd, "agent", 0);
		unlinkat(where, name, AT_REMOVEDIR);
	}
	close(fd);
}

static void remove_dead(void)
{
	DIR *where = opendir(WHERE);
	const struct dirent *entry;

	while (where != NULL && (entry = readdir(where)) != NULL)
		if (strncmp(entry->d_name, BEGIN, strlen(BEGIN)) == 0)
			remove_if_dead(dirfd(where), entry->d_name);
	if (where != NULL)
		closedir(where);
}

int boot_folder_make(struct boot_folder *out, struct error *err)
{
	static const char template[] = WHERE "/" BEGIN "XXXXXX";

	*out = (struct boot_folder){.fd = -1};
	remove_dead();
	/* Another run may take it for a dead one's before it is held. */
	for (unsigned i = 0; i < TRIES; i++) {
		memcpy(out->path, template, sizeof(template));
		if (mkdtemp(out->path) == NULL)
			break;
		out->fd = open(out->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (out->fd >= 0 && hold(out->fd))
			return 0;
		boot_folder_remove(out);
		errno = EAGAIN;
	}
	out->path[0] = '\0';
	return fail_system(err, errno, "a folder in " WHERE);
}

void boot_folder_remove(struct boot_folder *folder)
{
	if (folder->path[0] != '\0')
		rmdir(folder->path);
	if (folder->fd >= 0)
		close(folder->fd);
	*folder = (struct boot_folder){.fd = -1};
}
