/*
 * Files: new ones, and existing ones that are overwritten in place.
 *
 * The space past old_bytes was written by nothing but this restore, and is a hole otherwise. So
 * zeros in a new file need no work at all.
 */
#include "drive/target_parts.h"

#include "base/bytes.h"
#include "base/newfile.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct target_file {
	struct target_raw raw;
	uint64_t old_bytes; /* up to here the file has old data */
};

/* A piece of a file of which it is not known whether it is zero: data stays data. */
static int clear_piece(struct target *target, uint64_t offset, size_t n, struct error *err)
{
	struct target_file *file = (struct target_file *)target;
	uint8_t there[CLUSTER_SIZE];

	if (target_raw_read(target, offset, there, n) == 0 && all_zero(there, n))
		return 0;
	target->written_bytes += n;
	return target_raw_result(target, disk_zero(&file->raw.disk, offset, n, 0), offset, err);
}

/* Where the file has no hole. A file system that cannot tell has none. */
static int clear(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	struct target_file *file = (struct target_file *)target;
	uint64_t end = offset + n;

	while (offset < end) {
		off_t data = lseek(file->raw.image.fd, (off_t)offset, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0;
		if (data > 0 && (uint64_t)data > offset)
			offset = (uint64_t)data;
		if (offset >= end)
			return 0;
		n = least(CLUSTER_SIZE - offset % CLUSTER_SIZE, end - offset);
		TRY(clear_piece(target, offset, (size_t)n, err));
		offset += n;
	}
	return 0;
}

static int file_zero(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	struct target_file *file = (struct target_file *)target;

	if (offset >= file->old_bytes)
		return 0;
	n = least(n, file->old_bytes - offset);
	if (target->rollback)
		return clear(target, offset, n, err);
	return target_raw_result(target, disk_zero(&file->raw.disk, offset, n, DISK_MAY_PUNCH),
				 offset, err);
}

static int set_size(const struct target_file *file, struct error *err)
{
	const struct target *target = &file->raw.target;

	if (ftruncate(file->raw.image.fd, (off_t)target->size_bytes) != 0)
		return fail_system(err, errno, "%s: setting its size to %llu bytes", target->path,
				   (unsigned long long)target->size_bytes);
	return 0;
}

/* Of a file that was there: it may have lost its name while it was written. */
static int check_name(const struct target_file *file, struct error *err)
{
	const struct target *target = &file->raw.target;
	struct stat own, named;

	if (target->temp != NULL ||
	    (fstat(file->raw.image.fd, &own) == 0 && stat(target->path, &named) == 0 &&
	     own.st_dev == named.st_dev && own.st_ino == named.st_ino))
		return 0;
	return fail(err, ERR_SYSTEM, "%s: was removed or replaced while it was written",
		    target->path);
}

static int file_finish(struct target *target, struct error *err)
{
	struct target_file *file = (struct target_file *)target;

	TRY(check_name(file, err));
	if (!target->rollback || file->old_bytes != target->size_bytes)
		TRY(set_size(file, err));
	return disk_end(&file->raw.image.fd, target->path, target->sync, err);
}

static void file_close(struct target *target)
{
	struct target_file *file = (struct target_file *)target;

	target_raw_close(&file->raw);
	/* Nothing to be taken up. */
	if (target->temp != NULL && !target->rollback && target->written_bytes == 0)
		newfile_give_up(target->temp);
}

/* What a run that broke off has left is as a file that is there: nothing in it is believed. */
static int take_up(struct target_file *file, struct error *err)
{
	struct target *target = &file->raw.target;
	struct stat st;

	TRY(newfile_resume(&target->temp, &file->raw.image.fd, target->path, true,
			   &target->rollback, err));
	if (fstat(file->raw.image.fd, &st) != 0)
		return fail_system(err, errno, "%s", target->path);
	file->old_bytes = least((uint64_t)st.st_size, target->size_bytes);
	return 0;
}

/* Sets the size first: a file system that does not support it fails before any work is done. */
static int open_new(struct target *target, const struct target_options *options, struct error *err)
{
	struct target_file *file = (struct target_file *)target;

	target_raw_init(&file->raw);
	if (options->resume)
		TRY(take_up(file, err));
	else
		TRY(newfile_create(&target->temp, &file->raw.image.fd, target->path, err));
	TRY(disk_init(&file->raw.disk, file->raw.image.fd, target->path, err));
	return set_size(file, err);
}

static int open_old(struct target *target, const struct target_options *options, struct error *err)
{
	struct target_file *file = (struct target_file *)target;

	target_raw_init(&file->raw);
	TRY(target_raw_open(&file->raw, options, CONTENT_FILE_TARGET, err));
	if (file->raw.disk.is_device)
		return fail(err, ERR_USAGE, "%s: was replaced while it was opened", target->path);
	return image_size(&file->raw.image, target->path, &file->old_bytes, err);
}

const struct target_kind target_new_file = {
	.size = sizeof(struct target_file),
	.open = open_new,
	.write = target_raw_write,
	.zero = file_zero,
	.finish = file_finish,
	.read = target_raw_read,
	.close = file_close,
};

const struct target_kind target_old_file = {
	.size = sizeof(struct target_file),
	.open = open_old,
	.write = target_raw_write,
	.zero = file_zero,
	.finish = file_finish,
	.read = target_raw_read,
	.close = file_close,
};
