#include "machine/mirror_target.h"

#include "cow/mirror.h"
#include "drive/drive.h"
#include "drive/qemuimg.h"
#include "drive/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIX UINT64_C(0x9e3779b97f4a7c15)

/* An inode's number is soon that of another file, when the one is removed; when it was made, where
 * the file system tells, is not. */
uint64_t mirror_target_inode(const char *path)
{
	struct statx found;
	uint64_t value;

	if (target_is_uri(path) ||
	    statx(AT_FDCWD, path, 0, STATX_TYPE | STATX_INO | STATX_BTIME, &found) != 0 ||
	    !S_ISREG(found.stx_mode))
		return 0;
	value = found.stx_ino;
	if (found.stx_mask & STATX_BTIME)
		value ^= ((uint64_t)found.stx_btime.tv_sec * 1000000000 + found.stx_btime.tv_nsec) *
			 MIX;
	value &= INT64_MAX; /* it is written as JSON */
	return value != 0 ? value : 1;
}

bool mirror_target_is_raw(const struct mirror_target *target)
{
	return target_is_uri(target->path) ||
	       strcmp(image_format_given(target->path, target->format, NULL), "raw") == 0;
}

/* ---- whether it is still there ---- */

int mirror_target_check(const struct mirror_target *target, struct error *err)
{
	struct stat st;

	if (target->inode == 0)
		return 0;
	if (mirror_target_inode(target->path) != target->inode || stat(target->path, &st) != 0)
		return fail(err, ERR_SYSTEM,
			    "%s: the target was removed, renamed or replaced by another file "
			    "meanwhile",
			    target->path);
	if (mirror_target_is_raw(target) && (uint64_t)st.st_size < target->size_bytes)
		return fail(err, ERR_SYSTEM,
			    "%s: the target was made shorter meanwhile: it has %llu bytes, and the "
			    "drive %llu",
			    target->path, (unsigned long long)st.st_size,
			    (unsigned long long)target->size_bytes);
	return 0;
}

bool mirror_target_resized(const struct mirror_target *target)
{
	struct stat st;

	return !target_is_uri(target->path) && mirror_target_is_raw(target) &&
	       stat(target->path, &st) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size != target->size_bytes;
}

struct watched {
	struct mirror_watch watch; /* the first member */
	struct mirror_target target;
	char texts[]; /* which that points to */
};

static int look(const struct mirror_watch *watch, struct error *err)
{
	return mirror_target_check(&((const struct watched *)watch)->target, err);
}

int mirror_target_watch(struct mirror_watch **out, const struct mirror_target *target,
			struct error *err)
{
	size_t path_size = strlen(target->path) + 1;
	size_t format_size = target->format == NULL ? 0 : strlen(target->format) + 1;
	struct watched *watched;

	*out = NULL;
	if (target->inode == 0)
		return 0;
	watched = malloc(sizeof(*watched) + path_size + format_size);
	if (watched == NULL)
		return fail_memory(err);
	memcpy(watched->texts, target->path, path_size);
	if (format_size > 0)
		memcpy(watched->texts + path_size, target->format, format_size);
	watched->watch.look = look;
	watched->target = (struct mirror_target){
		.path = watched->texts,
		.format = format_size > 0 ? watched->texts + path_size : NULL,
		.size_bytes = target->size_bytes,
		.inode = target->inode,
	};
	*out = &watched->watch;
	return 0;
}

/* ---- opening ---- */

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
	if (!mirror_target_is_raw(target))
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
	if (truncate(target->path, 0) < 0 || truncate(target->path, (off_t)target->size_bytes) < 0)
		return fail_system(err, errno, "%s", target->path);
	return 0;
}

static int open_drive(struct drive **out, const struct mirror_target *target, struct error *err)
{
	const struct drive_options how = {
		.format = target->format,
		.writable = true,
		.any_format = true,
		.beside = target->beside,
		.socket = target->socket,
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

/* Opened as what it may be, to see that nobody uses it; qemu-img wants it for itself, then. */
static int begin_anew(const struct mirror_target *target, struct error *err)
{
	struct mirror_target found = *target;
	bool is_raw = mirror_target_is_raw(target);
	struct drive *drive;

	found.format = is_raw ? target->format : "raw";
	found.socket = NULL;
	TRY(open_drive(&drive, &found, err));
	int code = is_raw ? empty_file(target, err) : 0;
	drive_close(drive);
	return code == 0 && !is_raw ? make_image(target, err) : code;
}

static int open_file(struct drive **out, struct mirror_target *target, bool exists,
		     struct error *err)
{
	if (!exists)
		TRY(make_file(target, err));
	else if (!target->known)
		TRY(begin_anew(target, err));
	target->reads_zeros = !exists || !target->known;
	/* Images have whole sectors. */
	if (!mirror_target_is_raw(target))
		return open_room(out, target, err);
	TRY(open_drive(out, target, err));
	if (drive_size(*out) == target->size_bytes)
		return 0;
	fail(err, ERR_USAGE, "%s: has %llu bytes, and the drive %llu", target->path,
	     (unsigned long long)drive_size(*out), (unsigned long long)target->size_bytes);
	drive_close(*out);
	return err->code;
}

int mirror_target_look(const struct mirror_target *target, struct error *err)
{
	enum target_place unused;

	return target_look(target->path, target->known || target->force, &unused, err);
}

int mirror_target_open(struct drive **out, struct mirror_target *target, struct error *err)
{
	enum target_place place;

	TRY(target_look(target->path, target->known || target->force, &place, err));
	target->answers_late = place == TARGET_EXPORT;
	if (place == TARGET_DEVICE || place == TARGET_EXPORT)
		return open_room(out, target, err);
	TRY(open_file(out, target, place == TARGET_FILE, err));
	target->inode = mirror_target_inode(target->path);
	return 0;
}
