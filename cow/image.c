#include "cow/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* QEMU tells others what it does with an image by shared locks on single bytes: 100 + n says that
 * it uses permission n, and permission 1 is to write. */
#define QEMU_WRITES_BYTE 101

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
static bool qemu_writes(int fd)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = QEMU_WRITES_BYTE,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
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
	if (qemu_writes(image->fd))
		return fail(err, ERR_LOCKED, "%s: is in use for writing by a running QEMU", path);
	if (S_ISBLK(image->opened.st_mode) && is_claimed(path))
		return fail(err, ERR_LOCKED, "%s: is mounted or otherwise in use", path);
	return 0;
}

int image_open(struct image *out, const char *path, bool allow_writers, struct error *err)
{
	struct image image = {.fd = -1, .allow_writers = allow_writers};
	int rc = 0;

	/* Looked at first because to open a tape or a pipe already does something to it. */
	if (stat(path, &image.opened) != 0)
		return fail_system(err, errno, "%s", path);
	if (!is_usable(image.opened.st_mode))
		return fail(err, ERR_USAGE, "%s: is %s, neither a disk image nor a block device",
			    path, kind_of(image.opened.st_mode));
	image.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (image.fd < 0 || fstat(image.fd, &image.opened) != 0)
		rc = fail_system(err, errno, "%s", path);
	else if (!is_usable(image.opened.st_mode))
		rc = fail(err, ERR_USAGE, "%s: was replaced while it was opened", path);
	else if (!allow_writers)
		rc = check_unused(&image, path, err);
	if (rc != 0) {
		image_close(&image);
		return rc;
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

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool image_was_changed(const struct image *image)
{
	const struct stat *then = &image->opened;
	struct stat now;

	if (!image->allow_writers && qemu_writes(image->fd))
		return true;
	if (S_ISBLK(then->st_mode))
		return false;
	return fstat(image->fd, &now) != 0 || now.st_size != then->st_size ||
	       !same_time(&now.st_mtim, &then->st_mtim) || !same_time(&now.st_ctim, &then->st_ctim);
}
