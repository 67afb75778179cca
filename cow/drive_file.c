/*
 * Raw images and block devices.
 *
 * A file that shrinks must not be taken for one that ends in a hole: pread says so by itself, but
 * SEEK_DATA past the end of a file answers as it does for a hole that reaches to the end. So that
 * answer counts only after a look at the size.
 */
#include "cow/drive.h"
#include "cow/image.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

struct file_drive {
	struct drive drive;
	const char *path; /* borrowed */
	struct image image;
	bool no_holes; /* the file system or device cannot tell: all is data. For the one caller of
			  status */
};

static struct file_drive *file_of(struct drive *drive)
{
	return (struct file_drive *)drive;
}

static int fail_shrunk(const struct file_drive *file, uint64_t offset, struct error *err)
{
	return fail(err, ERR_SYSTEM,
		    "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " when it was opened",
		    file->path, offset, file->drive.size_bytes);
}

static int file_read(struct drive *drive, uint64_t offset, void *buffer, size_t n,
		     struct error *err)
{
	struct file_drive *file = file_of(drive);
	uint8_t *to = buffer;

	while (n > 0) {
		ssize_t got = pread(file->image.fd, to, n, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_system(err, errno, "%s: reading at byte %" PRIu64, file->path,
					   offset);
		if (got == 0)
			return fail_shrunk(file, offset, err);
		to += got;
		n -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

/* Nothing but a hole from offset on, or so it seems. */
static int hole_to_the_end(struct file_drive *file, uint64_t offset, uint64_t *n, bool *zero,
			   struct error *err)
{
	struct stat now;

	if (fstat(file->image.fd, &now) != 0)
		return fail_system(err, errno, "%s", file->path);
	if ((uint64_t)now.st_size < file->drive.size_bytes)
		return fail_shrunk(file, (uint64_t)now.st_size, err);
	*n = file->drive.size_bytes - offset;
	*zero = true;
	return 0;
}

static int all_data(struct file_drive *file, uint64_t offset, uint64_t *n, bool *zero)
{
	*n = file->drive.size_bytes - offset;
	*zero = false;
	return 0;
}

static int file_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
		       struct error *err)
{
	struct file_drive *file = file_of(drive);

	if (file->no_holes)
		return all_data(file, offset, n, zero);
	off_t data = lseek(file->image.fd, (off_t)offset, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		return hole_to_the_end(file, offset, n, zero, err);
	off_t end = data;
	if (data == (off_t)offset)
		end = lseek(file->image.fd, data, SEEK_HOLE);
	if (end <= (off_t)offset) {
		file->no_holes = true;
		return all_data(file, offset, n, zero);
	}
	*n = (uint64_t)end - offset;
	*zero = data != (off_t)offset;
	return 0;
}

static bool file_changed(struct drive *drive)
{
	return image_was_changed(&file_of(drive)->image);
}

static void file_close(struct drive *drive)
{
	struct file_drive *file = file_of(drive);

	image_close(&file->image);
	free(file);
}

static const struct drive_ops file_ops = {
	.read = file_read,
	.status = file_status,
	.changed = file_changed,
	.close = file_close,
};

int drive_file_open(struct drive **out, const char *path, bool allow_writers, struct error *err)
{
	struct file_drive *file = calloc(1, sizeof *file);
	int rc;

	if (!file)
		return fail_system(err, ENOMEM, "%s", path);
	file->drive.ops = &file_ops;
	file->path = path;
	file->image.fd = -1;
	rc = image_open(&file->image, path, allow_writers, err);
	if (rc == 0)
		rc = image_size(&file->image, path, &file->drive.size_bytes, err);
	if (rc != 0) {
		file_close(&file->drive);
		return rc;
	}
	posix_fadvise(file->image.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*out = &file->drive;
	return 0;
}
