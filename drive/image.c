#include "drive/backing.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

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

/* Releases the claim immediately: a mount during the backup must not fail because of it. */
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
	if (image->use == IMAGE_READ_KEPT ? !lock_to_keep(image->fd) : lock_others_write(image->fd))
		return fail(err, ERR_LOCKED,
			    "%s: is in use for writing by a running QEMU or vmabak serve", path);
	if (S_ISBLK(image->opened.st_mode) && is_claimed(path))
		return fail(err, ERR_LOCKED, "%s: is mounted or otherwise in use", path);
	return inuse_check(image->fd, path, false, err);
}

static int check_users(const struct image *image, const char *path, struct error *err)
{
	if (image->use == IMAGE_READ || image->use == IMAGE_READ_KEPT)
		return check_unused(image, path, err);
	if (image->use == IMAGE_READ_SHARED)
		return 0;
	if (image->use == IMAGE_WRITE ? !lock_to_write(image->fd) : !lock_to_replace(image->fd))
		return fail(err, ERR_LOCKED, "%s: is in use by a running QEMU or vmabak", path);
	return inuse_check(image->fd, path, true, err);
}

static int check_writable(const struct image *image, const char *path, struct error *err)
{
	int read_only = 0;

	if (S_ISBLK(image->opened.st_mode) && ioctl(image->fd, BLKROGET, &read_only) == 0 &&
	    read_only != 0)
		return fail(err, ERR_USAGE, "%s: is read-only", path);
	return 0;
}

static bool writes(enum image_use use)
{
	return use == IMAGE_WRITE || use == IMAGE_REPLACE;
}

static int fail_open(const struct image *image, const char *path, struct error *err)
{
	if (errno == EBUSY && writes(image->use))
		return fail(err, ERR_LOCKED, "%s: is mounted or otherwise in use", path);
	return fail_system(err, errno, "%s", path);
}

/* Sectors that were written to a block device or discarded since the host knows it; 0: not known.
 * What the page cache holds of it is written first, so that it counts now and not later. */
static uint64_t count_written(const struct image *image)
{
	uint64_t written = 0, discarded = 0;
	char path[64], text[512] = "";
	dev_t device = image->opened.st_rdev;
	int fd;

	if (!S_ISBLK(image->opened.st_mode))
		return 0;
	fsync(image->fd);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(device), minor(device));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	io_read(fd, text, sizeof(text) - 1, &(size_t){0});
	close(fd);
	sscanf(text, "%*u %*u %*u %*u %*u %*u %" SCNu64 " %*u %*u %*u %*u %*u %*u %" SCNu64,
	       &written, &discarded);
	return written + discarded;
}

/* image->opened: as it was before it was opened. */
static int open_checked(struct image *image, const char *path, struct error *err)
{
	mode_t mode = image->opened.st_mode;
	int flags = O_CLOEXEC | O_NOCTTY | (writes(image->use) ? O_RDWR : O_RDONLY);

	if (writes(image->use) && S_ISBLK(mode))
		flags |= O_EXCL;
	image->fd = open(path, flags);
	if (image->fd < 0 || fstat(image->fd, &image->opened) != 0)
		return fail_open(image, path, err);
	if ((image->opened.st_mode & S_IFMT) != (mode & S_IFMT))
		return fail(err, ERR_USAGE, "%s: was replaced while it was opened", path);
	if (writes(image->use))
		TRY(check_writable(image, path, err));
	TRY(check_users(image, path, err));
	image->written = writes(image->use) ? 0 : count_written(image);
	return 0;
}

int image_open(struct image *out, const char *path, enum image_use use, struct error *err)
{
	struct image image = {.fd = -1, .use = use};

	/* Before opening it, because opening a tape or a pipe already has effects. */
	if (stat(path, &image.opened) != 0)
		return fail_system(err, errno, "%s", path);
	if (!S_ISREG(image.opened.st_mode) && !S_ISBLK(image.opened.st_mode))
		return fail(err, ERR_USAGE, "%s: is %s, neither a disk image nor a block device",
			    path, kind_of(image.opened.st_mode));
	int code = open_checked(&image, path, err);
	if (code != 0)
		image_close(&image);
	else
		*out = image;
	return code;
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
			enum content_use use, struct error *err)
{
	struct content content;
	uint64_t size_bytes;

	TRY(image_size(image, path, &size_bytes, err));
	content_read(&content, image->fd, size_bytes);
	return content_check(&content, path, format, use, err);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether something other than a write explains the ctime. A program that writes and restores the
 * mtime leaves no other trace, so an unexplained ctime counts as a write. */
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

	if (writes(image->use))
		return false;
	if (image->use != IMAGE_READ_SHARED && lock_others_write(image->fd))
		return true;
	if (S_ISBLK(then->st_mode))
		return count_written(image) != image->written;
	if (fstat(image->fd, &now) != 0 || now.st_size != then->st_size ||
	    !same_time(&now.st_mtim, &then->st_mtim))
		return true;
	return !same_time(&now.st_ctim, &then->st_ctim) && !ctime_is_explained(then, &now, path);
}
