/*
 * Raw images and block devices: opening and reading. Writing is in file_write.c.
 *
 * A file that shrank must not be mistaken for one that ends in a hole. pread tells the difference,
 * but SEEK_DATA past the end of a file gives the same answer as in a hole that reaches to the end.
 * So that answer counts only after a check of the size.
 */
#include "drive/file_write.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define DIRECT_ALIGNMENT 4096u	    /* of memory, offset and length, for the strictest disks */
#define EXPECT_MAX	 (4u << 20) /* the longest range: a piece */
#define EXPECT_STEP	 (512u << 10)
#define PAGE_SIZE_MIN	 4096u
/* Bytes to copy from the page cache per call: many kernels do not yield the processor during the
 * copy, and a guest may need it. */
#define READ_MAX (128u << 10)

static int fail_shrunk(const struct file_drive *file, uint64_t offset, struct error *err)
{
	return fail(err, ERR_SYSTEM,
		    "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " when it was opened",
		    file->path, offset, file->drive.size_bytes);
}

/* How many of these n bytes can be read directly; the rest, at the end of a drive, goes through the
 * page cache. */
static size_t direct_part(const struct file_drive *file, uint64_t offset, const void *buffer,
			  size_t n)
{
	bool aligned = ((uintptr_t)buffer | offset) % DIRECT_ALIGNMENT == 0;

	return file->direct_fd >= 0 && aligned ? n - n % DIRECT_ALIGNMENT : 0;
}

static int file_read(struct drive *drive, uint64_t offset, void *buffer, size_t n,
		     struct error *err)
{
	struct file_drive *file = file_of(drive);
	uint8_t *to = buffer;

	while (n > 0) {
		size_t direct = direct_part(file, offset, to, n);
		size_t part = n < READ_MAX ? n : READ_MAX;
		ssize_t got = pread(direct != 0 ? file->direct_fd : file->image.fd, to,
				    direct != 0 ? direct : part, (off_t)offset);
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

/* SEEK_DATA found only a hole from offset on. */
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

	if (atomic_load_explicit(&file->no_holes, memory_order_relaxed))
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

/* Only SEEK_DATA: SEEK_HOLE can take long in a file of many extents. */
static uint64_t file_zeros(struct drive *drive, uint64_t offset)
{
	struct file_drive *file = file_of(drive);
	struct error err;
	uint64_t n = 0;
	bool zero;

	if (atomic_load_explicit(&file->no_holes, memory_order_relaxed))
		return 0;
	off_t data = lseek(file->image.fd, (off_t)offset, SEEK_DATA);
	if (data >= 0)
		return (uint64_t)data - offset;
	if (errno != ENXIO || hole_to_the_end(file, offset, &n, &zero, &err) != 0)
		return 0;
	return n;
}

static bool file_changed(struct drive *drive)
{
	return image_was_changed(&file_of(drive)->image, drive->path);
}

static void file_close(struct drive *drive)
{
	struct file_drive *file = file_of(drive);

	image_close(&file->image);
	if (file->direct_fd >= 0)
		close(file->direct_fd);
	free(file);
}

/* Whether no page of the range is in the page cache. For a file that the caller neither owns nor
 * may write the kernel says that all are, and then nothing is dropped. */
static bool is_cold(int fd, uint64_t offset, uint64_t n)
{
	unsigned char pages[EXPECT_MAX / PAGE_SIZE_MIN];
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	bool cold = false;
	void *map = mmap(NULL, n, PROT_NONE, MAP_SHARED, fd, (off_t)offset);

	if (map == MAP_FAILED)
		return false;
	/* Checking all pages takes ten times as long, and the first is usually enough. */
	if (mincore(map, n < page_size ? n : page_size, pages) == 0 && (pages[0] & 1) == 0 &&
	    mincore(map, n, pages) == 0) {
		cold = true;
		for (size_t i = 0; i * page_size < n; i++)
			cold = cold && (pages[i] & 1) == 0;
	}
	munmap(map, n);
	return cold;
}

static void file_expect(struct drive *drive, uint64_t offset, uint64_t n, bool *cold)
{
	struct file_drive *file = file_of(drive);

	if (file->direct_fd >= 0 || n > EXPECT_MAX)
		return;
	*cold = is_cold(file->image.fd, offset, n);
	/* The kernel cuts each request to its readahead size, so this makes several. */
	for (uint64_t at = 0; at < n && *cold; at += EXPECT_STEP)
		posix_fadvise(file->image.fd, (off_t)(offset + at),
			      (off_t)least(EXPECT_STEP, n - at), POSIX_FADV_WILLNEED);
}

static void file_forget(struct drive *drive, uint64_t offset, uint64_t n)
{
	posix_fadvise(file_of(drive)->image.fd, (off_t)offset, (off_t)n, POSIX_FADV_DONTNEED);
}

static const struct drive_ops file_ops = {
	.read = file_read,
	.status = file_status,
	.zeros = file_zeros,
	.read_now = file_read_now,
	.write = file_write,
	.zero = file_zero,
	.trim = file_trim,
	.flush = file_flush,
	.changed = file_changed,
	.expect = file_expect,
	.forget = file_forget,
	.close = file_close,
};

int drive_file_open(struct drive **out, const char *path, const struct drive_options *options,
		    struct error *err)
{
	struct file_drive *file = calloc(1, sizeof(*file));
	int code;

	if (file == NULL)
		return fail_memory(err);
	file->drive.ops = &file_ops;
	file->path = path;
	file->image.fd = file->direct_fd = -1;
	code = image_open(&file->image, path,
			  options->writable	   ? IMAGE_WRITE
			  : options->allow_writers ? IMAGE_READ_SHARED
			  : options->keep	   ? IMAGE_READ_KEPT
						   : IMAGE_READ,
			  err);
	if (code == 0)
		code = image_size(&file->image, path, &file->drive.size_bytes, err);
	if (code == 0 && options->format == NULL)
		code = image_check_content(&file->image, path, "raw",
					   options->writable ? CONTENT_SERVED : CONTENT_SOURCE,
					   err);
	if (code == 0 && options->writable)
		code = disk_init(&file->disk, file->image.fd, path, err);
	if (code == 0 && options->direct) {
		file->direct_fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (file->direct_fd < 0)
			code = fail_system(err, errno, "%s: cannot be read directly", path);
	}
	if (code != 0) {
		file_close(&file->drive);
		return code;
	}
	file->drive.writable = options->writable;
	/* A guest reads in random order. */
	if (!options->writable)
		posix_fadvise(file->image.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*out = &file->drive;
	return 0;
}
