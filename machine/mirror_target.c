#include "machine/mirror_target.h"

#include "drive/drive.h"
#include "drive/qemuimg.h"
#include "drive/target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t mirror_target_inode(const char *path)
{
	struct stat found;

	return !target_is_uri(path) && stat(path, &found) == 0 && S_ISREG(found.st_mode)
		       ? found.st_ino
		       : 0;
}

static bool is_raw(const struct mirror_target *target)
{
	return strcmp(image_format_given(target->path, target->format, NULL), "raw") == 0;
}

static int make_image(const struct mirror_target *target, struct error *err)
{
	const struct qemu_new_image image = {
		.name = target->path,
		.path = target->path,
		.format = image_format_given(target->path, target->format, NULL),
		.size_bytes = target->size_bytes,
	};

	return qemu_img_create(&image, err);
}

/* An empty file, of which every byte reads as zero. It takes the place of none. */
static int make_file(const struct mirror_target *target, struct error *err)
{
	int fd = open(target->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), code = 0;

	if (fd < 0)
		return fail_system(err, errno, "%s", target->path);
	if (!is_raw(target))
		code = make_image(target, err);
	else if (ftruncate(fd, (off_t)target->size_bytes) < 0)
		code = fail_system(err, errno, "%s", target->path);
	close(fd);
	if (code < 0)
		unlink(target->path);
	return code;
}

/* It is locked against other users meanwhile, but for a moment between this and the next open. */
static int empty_file(const struct mirror_target *target, struct error *err)
{
	if (truncate(target->path, 0) < 0 ||
	    truncate(target->path, is_raw(target) ? (off_t)target->size_bytes : 0) < 0)
		return fail_system(err, errno, "%s", target->path);
	return is_raw(target) ? 0 : make_image(target, err);
}

static int open_drive(struct drive **out, const struct mirror_target *target, struct error *err)
{
	const struct drive_options how = {
		.format = target->format,
		.writable = true,
		.any_format = true,
	};

	return drive_open(out, target->path, &how, err);
}

static int open_room(struct drive **out, struct mirror_target *target, struct error *err)
{
	TRY(open_drive(out, target, err));
	if (drive_limit(*out, target->size_bytes, err) == 0)
		return 0;
	drive_close(*out);
	return err->code;
}

static int open_file(struct drive **out, struct mirror_target *target, bool exists,
		     struct error *err)
{
	struct drive *drive;

	if (exists && !target->known) {
		TRY(open_drive(&drive, target, err));
		int code = empty_file(target, err);
		drive_close(drive);
		if (code < 0)
			return code;
	}
	if (!exists)
		TRY(make_file(target, err));
	target->reads_zeros = !exists || !target->known;
	/* Images have whole sectors. */
	if (!is_raw(target))
		return open_room(out, target, err);
	TRY(open_drive(out, target, err));
	if (drive_size(*out) == target->size_bytes)
		return 0;
	fail(err, ERR_USAGE, "%s: has %llu bytes, and the drive %llu", target->path,
	     (unsigned long long)drive_size(*out), (unsigned long long)target->size_bytes);
	drive_close(*out);
	return err->code;
}

int mirror_target_open(struct drive **out, struct mirror_target *target, struct error *err)
{
	bool is_uri = target_is_uri(target->path), exists = is_uri, is_file = false;
	struct stat found;

	if (!is_uri && stat(target->path, &found) == 0) {
		exists = true;
		is_file = S_ISREG(found.st_mode);
	} else if (!is_uri && errno != ENOENT) {
		return fail_system(err, errno, "%s", target->path);
	}
	if (exists && !target->known && !target->force)
		return fail(err, ERR_USAGE, "%s: %s; --force overwrites it", target->path,
			    is_uri    ? "is an NBD export"
			    : is_file ? "exists already"
				      : "is a block device");
	target->answers_late = is_uri;
	if (exists && !is_file)
		return open_room(out, target, err);
	TRY(open_file(out, target, exists, err));
	target->inode = mirror_target_inode(target->path);
	return 0;
}
