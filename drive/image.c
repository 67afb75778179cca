#include "drive/image.h"
#include "drive/inuse.h"

#include "drive/content.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* QEMU tells others what it does with an image by shared locks on single bytes: 100 + n says that
 * it uses permission n, and 200 + n that nobody else may. 0 is to read, 1 to write, 2 to write what
 * is there already, 3 to resize. One who writes to an image does here as a QEMU that writes to it:
 * so QEMU, backups and other writers see it without knowing of each other. */
#define QEMU_USES_BYTE	  100
#define QEMU_REFUSES_BYTE 200
#define QEMU_WRITES	  1
#define QEMU_RESIZES	  3

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a folder";
	case S_IFCHR:
		return "a character device";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	default:
		return "of an unknown kind";
	}
}

static bool is_usable(mode_t mode)
{
	return S_ISREG(mode) || S_ISBLK(mode);
}

/* Only asks: no lock is taken, so that nothing that starts meanwhile is kept from it. */
static bool others_hold(int fd, off_t byte, off_t n)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = n,
	};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static bool others_write(int fd)
{
	return others_hold(fd, QEMU_USES_BYTE + QEMU_WRITES, 1);
}

static bool hold(int fd, off_t byte, off_t n)
{
	struct flock lock = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = n,
	};

	/* Where there are no locks nothing is lost. */
	return fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

/* Held first and asked then, so that of two who come at once at least one sees the other. Others
 * may read. */
static bool lock_for_writing(int fd)
{
	off_t n = QEMU_RESIZES - QEMU_WRITES + 1;

	return hold(fd, QEMU_USES_BYTE, QEMU_RESIZES + 1) &&
	       hold(fd, QEMU_REFUSES_BYTE + QEMU_WRITES, n) &&
	       !others_hold(fd, QEMU_USES_BYTE + QEMU_WRITES, n) &&
	       !others_hold(fd, QEMU_REFUSES_BYTE, QEMU_RESIZES + 1);
}

/* The claim is given back at once: a mount during the backup must not fail because of it. */
static bool is_claimed(const char *path)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return false;
	}
	return errno == EBUSY;
}

static int check_unused(const struct image *image, const char *path, struct error *err)
{
	if (others_write(image->fd))
		return fail(err, ERR_LOCKED,
			    "%s: is in use for writing by a running QEMU or vmabak serve", path);
	if (S_ISBLK(image->opened.st_mode) && is_claimed(path))
		return fail(err, ERR_LOCKED, "%s: is mounted or otherwise in use", path);
	return inuse_check(image->fd, path, false, err);
}

static int fail_open(const struct image *image, const char *path, struct error *err)
{
	if (errno == EBUSY && image->writable)
		return fail(err, ERR_LOCKED, "%s: is mounted or otherwise in use", path);
	return fail_system(err, errno, "%s", path);
}

static int check_users(const struct image *image, const char *path, struct error *err)
{
	if (image->writable && !lock_for_writing(image->fd))
		return fail(err, ERR_LOCKED, "%s: is in use by a running QEMU or vmabak", path);
	if (image->writable)
		return inuse_check(image->fd, path, true, err);
	return image->allow_writers ? 0 : check_unused(image, path, err);
}

int image_open(struct image *out, const char *path, const struct image_mode *mode,
	       struct error *err)
{
	struct image image = {
		.fd = -1, .allow_writers = mode->allow_writers, .writable = mode->writable};
	int flags = O_CLOEXEC | O_NOCTTY | (mode->writable ? O_RDWR : O_RDONLY);
	int code = 0;

	/* Looked at first because to open a tape or a pipe already does something to it. */
	if (stat(path, &image.opened) != 0)
		return fail_system(err, errno, "%s", path);
	if (!is_usable(image.opened.st_mode))
		return fail(err, ERR_USAGE, "%s: is %s, neither a disk image nor a block device",
			    path, kind_of(image.opened.st_mode));
	if (mode->writable && S_ISBLK(image.opened.st_mode))
		flags |= O_EXCL;
	image.fd = open(path, flags);
	if (image.fd < 0 || fstat(image.fd, &image.opened) != 0)
		code = fail_open(&image, path, err);
	else if (!is_usable(image.opened.st_mode))
		code = fail(err, ERR_USAGE, "%s: was replaced while it was opened", path);
	else
		code = check_users(&image, path, err);
	if (code != 0) {
		image_close(&image);
		return code;
	}
	*out = image;
	return 0;
}

void image_close(struct image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	image->fd = -1;
}

int image_size(const struct image *image, const char *path, uint64_t *size_bytes, struct error *err)
{
	if (!S_ISBLK(image->opened.st_mode)) {
		*size_bytes = (uint64_t)image->opened.st_size;
		return 0;
	}
	if (ioctl(image->fd, BLKGETSIZE64, size_bytes) != 0)
		return fail_system(err, errno, "%s: asking for its size", path);
	return 0;
}

int image_check_content(const struct image *image, const char *path, const char *format,
			struct error *err)
{
	struct content content;
	uint64_t size_bytes;
	int code = image_size(image, path, &size_bytes, err);

	if (code != 0)
		return code;
	content_read(&content, image->fd, size_bytes);
	return content_check(&content, path, format,
			     image->writable ? CONTENT_SERVED : CONTENT_SOURCE, err);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether something else than a write has set the ctime. One that sets the mtime back leaves
 * nothing but the ctime, so what is not explained counts as a write. */
static bool ctime_is_explained(const struct stat *then, const struct stat *now, const char *path)
{
	struct stat named;

	return now->st_nlink != then->st_nlink || now->st_mode != then->st_mode ||
	       now->st_uid != then->st_uid || now->st_gid != then->st_gid ||
	       stat(path, &named) != 0 || named.st_dev != now->st_dev ||
	       named.st_ino != now->st_ino;
}

bool image_was_changed(const struct image *image, const char *path)
{
	const struct stat *then = &image->opened;
	struct stat now;

	if (image->writable)
		return false;
	if (!image->allow_writers && others_write(image->fd))
		return true;
	if (S_ISBLK(then->st_mode))
		return false;
	if (fstat(image->fd, &now) != 0 || now.st_size != then->st_size ||
	    !same_time(&now.st_mtim, &then->st_mtim))
		return true;
	return !same_time(&now.st_ctim, &then->st_ctim) && !ctime_is_explained(then, &now, path);
}
