/*
 * The folder is kept open: neither a change of the working directory nor a folder that is renamed
 * can lead to the wrong file being removed.
 */
#include "base/newfile.h"
#include "base/part.h"
#include "base/place.h"

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
#include <sys/xattr.h>
#include <unistd.h>

#define TRIES 100

struct newfile {
	char *path;	  /* the final one, for messages and its last part */
	const char *name; /* that last part */
	int folder;
	int lock;		 /* keeps it locked until it has its name; -1: none */
	bool kept;		 /* stays when it is not published */
	char temp[NAME_MAX + 1]; /* in the folder; empty when there is nothing to remove */
	struct newfile *next;
};

/* Guards the list, the temp names of its members, and what follows it. It is held while a file is
 * created, renamed or removed: so whoever abandons them all sees every file, and none becomes final
 * after. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct newfile *list;
static bool abandoned;
static bool created, published; /* any */

static int fail_abandoned(const struct newfile *file, struct error *err)
{
	return fail(err, ERR_SYSTEM, "%s: interrupted", file->path);
}

static int make_name(struct newfile *file)
{
	uint8_t bytes[PART_RANDOM];
	char random[PART_RANDOM + 1] = "";

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return -1;
	for (size_t i = 0; i < PART_RANDOM; i++)
		random[i] = part_letters[bytes[i] % 32];
	part_name(file->name, random, file->temp);
	return 0;
}

/* Holds the lock of a file that was just created, also when the caller closes fd. False: another
 * run was faster, and removes it. Where there are no locks nobody removes anything. */
static bool hold(struct newfile *file, int fd)
{
	struct stat st;

	if (!part_lock(fd) && (errno == EAGAIN || errno == EACCES))
		return false;
	if (fstat(fd, &st) == 0 && st.st_nlink == 0)
		return false;
	file->lock = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return true;
}

/* ---- who may read it ---- */

#define ACL	 "system.posix_acl_access"
#define ACL_SIZE 4096 /* bytes; more does not fit into an inode of most file systems */

/* Gives fd the ACL of the old file, or none if that has none. An ACL that the folder handed down
 * must go: the mode's group bits would give it its force. */
static bool copy_acl(const struct newfile *file, int fd)
{
	char path[64 + NAME_MAX + 1], acl[ACL_SIZE];

	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", file->folder, file->name);
	ssize_t n = lgetxattr(path, ACL, acl, sizeof acl);
	if (n >= 0)
		return fsetxattr(fd, ACL, acl, (size_t)n, 0) == 0;
	if (errno != ENODATA && errno != EOPNOTSUPP)
		return false;
	return fremovexattr(fd, ACL) == 0 || errno == ENODATA || errno == EOPNOTSUPP;
}

/* A file that takes the place of another may be read by the same people. Where the owner or the
 * group cannot be kept, by fewer: never by more. Mode last, so that at no time others may. */
static void adopt_rights(const struct newfile *file, int fd)
{
	struct stat old, now;

	if (fstatat(file->folder, file->name, &old, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(old.st_mode))
		return;
	mode_t mode = old.st_mode & 0777;
	bool same_group = fchown(fd, old.st_uid, old.st_gid) == 0 ||
			  fchown(fd, (uid_t)-1, old.st_gid) == 0 ||
			  (fstat(fd, &now) == 0 && now.st_gid == old.st_gid);
	if (!same_group || !copy_acl(file, fd))
		mode &= (mode << 3 & 0070) | 0707;
	fchmod(fd, mode); /* on failure it stays as private as it was made */
}

/* ---- creating ---- */

static int create_locked(struct newfile *file, struct error *err)
{
	if (abandoned)
		return fail_abandoned(file, err);
	for (int i = 0; i < TRIES; i++) {
		int fd = -1;
		if (make_name(file) == 0)
			fd = openat(file->folder, file->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
				    0600);
		if (fd >= 0 && !hold(file, fd)) {
			close(fd);
			continue;
		}
		if (fd >= 0) {
			created = true;
			adopt_rights(file, fd);
			file->next = list;
			list = file;
			return fd;
		}
		file->temp[0] = '\0';
		if (errno != EEXIST)
			break;
	}
	return fail_system(err, errno, "%s: creating a file beside it", file->path);
}

static int open_folder(struct newfile *file, struct error *err)
{
	char *slash = strrchr(file->path, '/');
	const char *folder = ".";

	file->name = slash ? slash + 1 : file->path;
	if (file->name[0] == '\0')
		return fail(err, ERR_USAGE, "%s: is not the name of a file", file->path);
	if (slash == file->path)
		folder = "/";
	else if (slash)
		folder = file->path;
	if (folder == file->path)
		*slash = '\0';
	file->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int sys = errno;
	if (folder == file->path)
		*slash = '/';
	if (file->folder < 0 && sys == ENOENT)
		return fail_system(err, sys, "%s: folder %.*s", file->path,
				   (int)(slash - file->path), file->path);
	return file->folder < 0 ? fail_system(err, sys, "%s: opening its folder", file->path) : 0;
}

static int newfile_new(struct newfile **out, const char *path, struct error *err)
{
	struct newfile *file = calloc(1, sizeof *file);
	int rc = 0;

	if (file) {
		file->folder = file->lock = -1;
		file->path = strdup(path);
	}
	if (!file || !file->path)
		rc = fail_system(err, ENOMEM, "%s", path);
	else
		rc = place_check(path, err);
	if (rc == 0)
		rc = open_folder(file, err);
	if (rc < 0)
		newfile_free(file);
	else
		*out = file;
	return rc;
}

int newfile_create(struct newfile **out, int *fd, const char *path, struct error *err)
{
	struct newfile *file = NULL;

	TRY(newfile_new(&file, path, err));
	part_remove_dead_of(file->folder, file->name);
	pthread_mutex_lock(&lock);
	int rc = create_locked(file, err);
	pthread_mutex_unlock(&lock);
	if (rc < 0) {
		newfile_free(file);
		return rc;
	}
	*fd = rc;
	*out = file;
	return 0;
}

/* ---- taking up ---- */

/* Only a file that this user made: another one's could hold anything, and be read by others. */
static int check_own(const struct newfile *file, int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return fail_system(err, errno, "%s: looking at %s", file->path, file->temp);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink > 1)
		return fail(err, ERR_USAGE,
			    "%s: %s beside it is no file that a run of this user has left: remove "
			    "it",
			    file->path, file->temp);
	return 0;
}

/* 1: it is there, and locked; 0: it was renamed or removed meanwhile, or is not there and not
 * wanted. */
static int try_resume(struct newfile *file, bool create, int *fd, bool *found, struct error *err)
{
	struct stat st, named;
	int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	*found = true;
	*fd = openat(file->folder, file->temp, flags);
	if (*fd < 0 && errno == ENOENT && create) {
		*found = false;
		*fd = openat(file->folder, file->temp, flags | O_CREAT | O_EXCL, 0600);
	}
	if (*fd < 0)
		return errno == ENOENT || (create && errno == EEXIST)
			       ? 0
			       : fail_system(err, errno, "%s: opening %s beside it", file->path,
					     file->temp);
	TRY(check_own(file, *fd, err));
	if (!part_lock(*fd) && (errno == EAGAIN || errno == EACCES))
		return fail(err, ERR_LOCKED, "%s: another run is writing it", file->path);
	return fstat(*fd, &st) == 0 &&
	       fstatat(file->folder, file->temp, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == named.st_dev && st.st_ino == named.st_ino;
}

static int resume_locked(struct newfile *file, bool create, int *out, bool *found,
			 struct error *err)
{
	int fd = -1, got = 0;

	if (abandoned)
		return fail_abandoned(file, err);
	part_name(file->name, PART_RESUME, file->temp);
	for (int i = 0; i < TRIES && got == 0; i++) {
		got = try_resume(file, create, &fd, found, err);
		if (got <= 0 && fd >= 0)
			close(fd);
		if (got == 0 && !create && fd < 0)
			return 0;
	}
	if (got <= 0)
		return got < 0 ? got
			       : fail(err, ERR_LOCKED, "%s: other runs are writing it", file->path);
	file->lock = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	file->next = list;
	list = file;
	adopt_rights(file, fd);
	*out = fd;
	return 1;
}

int newfile_resume(struct newfile **out, int *fd, const char *path, bool create, bool *found,
		   struct error *err)
{
	struct newfile *file = NULL;

	*found = false;
	*out = NULL;
	TRY(newfile_new(&file, path, err));
	file->kept = true;
	pthread_mutex_lock(&lock);
	int got = resume_locked(file, create, fd, found, err);
	pthread_mutex_unlock(&lock);
	if (got <= 0) {
		newfile_free(file);
		return got;
	}
	*out = file;
	return 0;
}

void newfile_give_up(struct newfile *file)
{
	pthread_mutex_lock(&lock);
	created |= file->kept && file->temp[0] != '\0';
	file->kept = false;
	pthread_mutex_unlock(&lock);
}

char *newfile_where(const struct newfile *file)
{
	char *where;

	if (asprintf(&where, "%.*s%s", (int)(file->name - file->path), file->path, file->temp) < 0)
		return NULL;
	return where;
}

/* ---- publishing ---- */

/* Not all file systems can refuse to replace; a hard link does so too, where there are any. Where
 * neither is to be had a look first must do. */
static int rename_if_free(const struct newfile *file)
{
	struct stat st;

	if (syscall(SYS_renameat2, file->folder, file->temp, file->folder, file->name,
		    RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	if (linkat(file->folder, file->temp, file->folder, file->name, 0) == 0) {
		unlinkat(file->folder, file->temp, 0);
		return 0;
	}
	if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	if (fstatat(file->folder, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(file->folder, file->temp, file->folder, file->name);
}

/* The name is no secret, and somebody may have removed what had it: then another run's file may be
 * there. */
static int check_name(const struct newfile *file, struct error *err)
{
	struct stat own, named;

	if (file->lock < 0 ||
	    (fstat(file->lock, &own) == 0 &&
	     fstatat(file->folder, file->temp, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	     own.st_dev == named.st_dev && own.st_ino == named.st_ino))
		return 0;
	return fail(err, ERR_SYSTEM,
		    "%s: %s beside it, which this run wrote, was removed or replaced meanwhile",
		    file->path, file->temp);
}

static int publish_locked(struct newfile *file, bool replace, struct error *err)
{
	int rc;

	if (abandoned)
		return fail_abandoned(file, err);
	TRY(check_name(file, err));
	if (replace)
		rc = renameat(file->folder, file->temp, file->folder, file->name);
	else
		rc = rename_if_free(file);
	if (rc != 0 && errno == EEXIST)
		return fail(err, ERR_USAGE, "%s: another program has created it meanwhile",
			    file->path);
	if (rc != 0)
		return fail_system(err, errno, "%s: renaming the finished file", file->path);
	published = true;
	file->temp[0] = '\0';
	return 0;
}

int newfile_publish(struct newfile *file, bool replace, bool sync, struct error *err)
{
	pthread_mutex_lock(&lock);
	int rc = publish_locked(file, replace, err);
	pthread_mutex_unlock(&lock);
	/* Some network file systems have no such thing for a folder. */
	if (rc == 0 && sync && fsync(file->folder) != 0 && errno != EINVAL && errno != EOPNOTSUPP) {
		rc = fail_system(err, errno, "%s: syncing its folder", file->path);
		/* What failed leaves nothing new; what it replaced is gone already. */
		if (!replace)
			unlinkat(file->folder, file->name, 0);
	}
	return rc;
}

static void remove_locked(struct newfile *file)
{
	struct error ignored;

	if (file->temp[0] != '\0' && !file->kept && check_name(file, &ignored) == 0)
		unlinkat(file->folder, file->temp, 0);
	file->temp[0] = '\0';
}

void newfile_free(struct newfile *file)
{
	if (!file)
		return;
	pthread_mutex_lock(&lock);
	remove_locked(file);
	for (struct newfile **at = &list; *at; at = &(*at)->next) {
		if (*at == file) {
			*at = file->next;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	if (file->lock >= 0)
		close(file->lock);
	if (file->folder >= 0)
		close(file->folder);
	free(file->path);
	free(file);
}

bool newfile_abandon_all(void)
{
	pthread_mutex_lock(&lock);
	abandoned = true;
	for (struct newfile *file = list; file; file = file->next)
		remove_locked(file);
	bool in_vain = created && !published;
	pthread_mutex_unlock(&lock);
	return in_vain;
}
