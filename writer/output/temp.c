/*
 * The same as reader/target/temp.c, which this side must not include: a fix there is due here.
 *
 * The folder is kept open: neither a change of the working directory nor a folder that is renamed
 * can lead to the wrong file being removed.
 */
#include "writer/output/temp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RANDOM_LENGTH 6
#define TRIES	      100
#define ENDING	      ".part"

struct output_temp {
	char *path;	  /* the final one, for messages and its last part */
	const char *name; /* that last part */
	int folder;
	char temp[NAME_MAX + 1]; /* in the folder; empty when there is nothing to remove */
	struct output_temp *next;
};

/* Guards the list, the temp names of its members, and abandoned. It is held while a file is
 * created, renamed or removed: so whoever abandons them all sees every file, and none becomes final
 * after. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct output_temp *list;
static bool abandoned;

static int fail_abandoned(const struct output_temp *temp, struct error *err)
{
	return fail(err, ERR_SYSTEM, "%s: interrupted", temp->path);
}

/* .NAME.XXXXXX.part; NAME is cut at a whole character if all of it would be too long. */
static int make_name(struct output_temp *temp)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	const size_t others = sizeof ".." - 1 + RANDOM_LENGTH + sizeof ENDING - 1;
	uint8_t bytes[RANDOM_LENGTH];
	char random[RANDOM_LENGTH + 1] = "";
	size_t length = strlen(temp->name);

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return -1;
	for (size_t i = 0; i < RANDOM_LENGTH; i++)
		random[i] = letters[bytes[i] % 32];
	if (length + others > NAME_MAX) {
		length = NAME_MAX - others;
		while (length > 0 && (temp->name[length] & 0xc0) == 0x80)
			length--;
	}
	snprintf(temp->temp, sizeof temp->temp, ".%.*s.%s" ENDING, (int)length, temp->name, random);
	return 0;
}

static int create_locked(struct output_temp *temp, struct error *err)
{
	if (abandoned)
		return fail_abandoned(temp, err);
	for (int i = 0; i < TRIES; i++) {
		int fd = -1;
		if (make_name(temp) == 0)
			fd = openat(temp->folder, temp->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
				    0666);
		if (fd >= 0) {
			temp->next = list;
			list = temp;
			return fd;
		}
		temp->temp[0] = '\0';
		if (errno != EEXIST)
			break;
	}
	return fail_system(err, errno, "%s: creating a file beside it", temp->path);
}

static int open_folder(struct output_temp *temp, struct error *err)
{
	char *slash = strrchr(temp->path, '/');
	const char *folder = ".";

	temp->name = slash ? slash + 1 : temp->path;
	if (temp->name[0] == '\0')
		return fail(err, ERR_USAGE, "%s: is not the name of a file", temp->path);
	if (slash == temp->path)
		folder = "/";
	else if (slash)
		folder = temp->path;
	if (folder == temp->path)
		*slash = '\0';
	temp->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int sys = errno;
	if (folder == temp->path)
		*slash = '/';
	return temp->folder < 0 ? fail_system(err, sys, "%s: its folder", temp->path) : 0;
}

int output_temp_create(struct output_temp **out, int *fd, const char *path, struct error *err)
{
	struct output_temp *temp = calloc(1, sizeof *temp);
	int rc = 0;

	if (temp) {
		temp->folder = -1;
		temp->path = strdup(path);
	}
	if (!temp || !temp->path)
		rc = fail_system(err, ENOMEM, "%s", path);
	else
		rc = open_folder(temp, err);
	if (rc == 0) {
		pthread_mutex_lock(&lock);
		rc = create_locked(temp, err);
		pthread_mutex_unlock(&lock);
	}
	if (rc < 0) {
		output_temp_free(temp);
		return rc;
	}
	*fd = rc;
	*out = temp;
	return 0;
}

/* Not all file systems can refuse to replace; a hard link does so too, where there are any. Where
 * neither is to be had a look first must do. */
static int rename_if_free(const struct output_temp *temp)
{
	struct stat st;

	if (syscall(SYS_renameat2, temp->folder, temp->temp, temp->folder, temp->name,
		    RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	if (linkat(temp->folder, temp->temp, temp->folder, temp->name, 0) == 0) {
		unlinkat(temp->folder, temp->temp, 0);
		return 0;
	}
	if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	if (fstatat(temp->folder, temp->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(temp->folder, temp->temp, temp->folder, temp->name);
}

static int publish_locked(struct output_temp *temp, bool replace, struct error *err)
{
	int rc;

	if (abandoned)
		return fail_abandoned(temp, err);
	if (replace)
		rc = renameat(temp->folder, temp->temp, temp->folder, temp->name);
	else
		rc = rename_if_free(temp);
	if (rc != 0 && errno == EEXIST)
		return fail(err, ERR_USAGE, "%s: has come to exist meanwhile", temp->path);
	if (rc != 0)
		return fail_system(err, errno, "%s: giving it its name", temp->path);
	temp->temp[0] = '\0';
	return 0;
}

int output_temp_publish(struct output_temp *temp, bool replace, bool sync, struct error *err)
{
	pthread_mutex_lock(&lock);
	int rc = publish_locked(temp, replace, err);
	pthread_mutex_unlock(&lock);
	/* Some network file systems have no such thing for a folder. */
	if (rc == 0 && sync && fsync(temp->folder) != 0 && errno != EINVAL && errno != EOPNOTSUPP)
		rc = fail_system(err, errno, "%s: syncing its folder", temp->path);
	return rc;
}

static void remove_locked(struct output_temp *temp)
{
	if (temp->temp[0] != '\0')
		unlinkat(temp->folder, temp->temp, 0);
	temp->temp[0] = '\0';
}

void output_temp_free(struct output_temp *temp)
{
	if (!temp)
		return;
	pthread_mutex_lock(&lock);
	remove_locked(temp);
	for (struct output_temp **at = &list; *at; at = &(*at)->next) {
		if (*at == temp) {
			*at = temp->next;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	if (temp->folder >= 0)
		close(temp->folder);
	free(temp->path);
	free(temp);
}

void output_temp_abandon_all(void)
{
	pthread_mutex_lock(&lock);
	abandoned = true;
	for (struct output_temp *temp = list; temp; temp = temp->next)
		remove_locked(temp);
	pthread_mutex_unlock(&lock);
}
