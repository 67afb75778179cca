/*
 * The folder is kept open: neither a change of the working directory nor a folder that is renamed
 * can lead to the wrong file being removed.
 */
#include "base/newfile.h"
#include "base/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define RANDOM_LENGTH 6
#define TRIES	      100
#define ENDING	      ".part"

struct newfile {
	char *path;	  /* the final one, for messages and its last part */
	const char *name; /* that last part */
	int folder;
	int lock;		 /* keeps it locked until it has its name; -1: none */
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

static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";

/* .NAME.XXXXXX.part; NAME is cut at a whole character if all of it would be too long. */
static void put_name(const struct newfile *file, const char *random, char out[NAME_MAX + 1])
{
	const size_t others = sizeof ".." - 1 + RANDOM_LENGTH + sizeof ENDING - 1;
	size_t length = strlen(file->name);

	if (length + others > NAME_MAX) {
		length = NAME_MAX - others;
		while (length > 0 && (file->name[length] & 0xc0) == 0x80)
			length--;
	}
	snprintf(out, NAME_MAX + 1, ".%.*s.%s" ENDING, (int)length, file->name, random);
}

static int make_name(struct newfile *file)
{
	uint8_t bytes[RANDOM_LENGTH];
	char random[RANDOM_LENGTH + 1] = "";

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return -1;
	for (size_t i = 0; i < RANDOM_LENGTH; i++)
		random[i] = letters[bytes[i] % 32];
	put_name(file, random, file->temp);
	return 0;
}

/* ---- whether a run that writes it is alive ---- */

/* Behind all data. QEMU locks other bytes of an image that it writes to. */
#define LOCK_AT (INT64_MAX - 1)

static bool lock_file(int fd)
{
	struct flock byte = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = LOCK_AT,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_SETLK, &byte) == 0;
}

/* Holds the lock of a file that was just created, also when the caller closes fd. False: another
 * run was faster, and removes it. Where there are no locks nobody removes anything. */
static bool hold(struct newfile *file, int fd)
{
	struct stat st;

	if (!lock_file(fd) && (errno == EAGAIN || errno == EACCES))
		return false;
	if (fstat(fd, &st) == 0 && st.st_nlink == 0)
		return false;
	file->lock = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return true;
}

/* Elsewhere a lock may not count for other hosts. */
static bool locks_count(int folder)
{
	static const unsigned local[] = {
		EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC,
		BTRFS_SUPER_MAGIC,     TMPFS_MAGIC,
		OVERLAYFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
		MSDOS_SUPER_MAGIC,     EXFAT_SUPER_MAGIC,
		0x2fc12fc1 /* ZFS */,  0xca451a4e /* bcachefs */,
	};
	struct statfs found;

	if (fstatfs(folder, &found) != 0)
		return false;
	for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
		if ((unsigned)found.f_type == local[i])
			return true;
	}
	return false;
}

/* The length of the name that a temporary name is of; 0: it is none. A name that was cut is not
 * whole.
 */
static size_t part_length(const char *name)
{
	const size_t end = RANDOM_LENGTH + sizeof ENDING - 1;
	size_t length = strlen(name);

	if (length <= end + 2 || name[0] != '.' || name[length - end - 1] != '.' ||
	    strspn(name + length - end, letters) < RANDOM_LENGTH ||
	    strcmp(name + length - sizeof ENDING + 1, ENDING) != 0)
		return 0;
	return length - end - 2;
}

/* What a newfile is looked for by. */
static bool is_part_of(void *context, const char *name)
{
	const struct newfile *file = context;
	const size_t end = RANDOM_LENGTH + sizeof ENDING - 1;
	char random[RANDOM_LENGTH + 1] = "", expected[NAME_MAX + 1];

	memcpy(random, name + strlen(name) - end, RANDOM_LENGTH);
	put_name(file, random, expected);
	return strcmp(name, expected) == 0;
}

static void remove_if_dead(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && lock_file(fd))
		unlinkat(folder, name, 0);
	close(fd);
}

/* Those temporary files of a folder that wanted accepts by their names. */
static void remove_dead(int folder, bool (*wanted)(void *context, const char *name), void *context)
{
	int fd = locks_count(folder) ? openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *names = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (names != NULL && (entry = readdir(names)) != NULL) {
		if (part_length(entry->d_name) > 0 && wanted(context, entry->d_name))
			remove_if_dead(folder, entry->d_name);
	}
	if (names != NULL)
		closedir(names);
	else if (fd >= 0)
		close(fd);
}

struct wish {
	bool (*wanted)(void *context, const char *name);
	void *context;
};

static bool is_wanted(void *context, const char *name)
{
	const struct wish *wish = context;
	char whole[NAME_MAX + 1];

	snprintf(whole, sizeof whole, "%.*s", (int)part_length(name), name + 1);
	return wish->wanted(wish->context, whole);
}

void newfile_remove_dead(const char *folder, bool (*wanted)(void *context, const char *name),
			 void *context)
{
	struct wish wish = {wanted, context};
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	remove_dead(fd, is_wanted, &wish);
	close(fd);
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

int newfile_create(struct newfile **out, int *fd, const char *path, struct error *err)
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
	if (rc == 0) {
		remove_dead(file->folder, is_part_of, file);
		pthread_mutex_lock(&lock);
		rc = create_locked(file, err);
		pthread_mutex_unlock(&lock);
	}
	if (rc < 0) {
		newfile_free(file);
		return rc;
	}
	*fd = rc;
	*out = file;
	return 0;
}

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

static int publish_locked(struct newfile *file, bool replace, struct error *err)
{
	int rc;

	if (abandoned)
		return fail_abandoned(file, err);
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
	if (file->temp[0] != '\0')
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
