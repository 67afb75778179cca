#include "drive/target_parts.h"

#include "base/io.h"
#include "base/newfile.h"
#include "base/place.h"
#include "drive/qemuimg.h"
#include "nbd/client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening ---- */

static int check_missing(const char *path, struct error *err)
{
	struct stat st;

	if (errno != ENOENT)
		return fail_system(err, errno, "%s", path);
	if (lstat(path, &st) == 0)
		return fail(err, ERR_USAGE, "%s: is a dangling symbolic link", path);
	return place_check(path, err);
}

/* A regular file among device nodes is the result of an earlier mistake. */
static int check_place(const char *path, struct error *err)
{
	char *real = realpath(path, NULL);
	int code = real != NULL ? place_check(real, err) : 0;

	free(real);
	return code;
}

static int check_existing(const char *path, mode_t mode, bool force, struct error *err)
{
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return fail(err, ERR_USAGE, "%s: is neither a file nor a block device", path);
	if (!force)
		return fail(err, ERR_USAGE, "%s: %s; --force overwrites it", path,
			    S_ISREG(mode) ? "exists already" : "is a block device");
	return S_ISREG(mode) ? check_place(path, err) : 0;
}

int target_look(const char *path, bool force, enum target_place *out, struct error *err)
{
	struct stat st;

	if (target_is_uri(path)) {
		*out = TARGET_EXPORT;
		return force ? 0
			     : fail(err, ERR_USAGE, "%s: is an NBD export; --force overwrites it",
				    path);
	}
	*out = TARGET_MISSING;
	if (stat(path, &st) != 0)
		return check_missing(path, err);
	*out = S_ISREG(st.st_mode) ? TARGET_FILE : TARGET_DEVICE;
	return check_existing(path, st.st_mode, force, err);
}

static int choose_kind(const struct target_kind **out, const char *path,
		       const struct target_options *options, struct error *err)
{
	static const struct target_kind *const kinds[] = {
		[TARGET_MISSING] = &target_new_file,
		[TARGET_FILE] = &target_old_file,
		[TARGET_DEVICE] = &target_device,
		[TARGET_EXPORT] = &target_server,
	};
	const char *format = options->format != NULL ? options->format : image_format_of(path);
	enum target_place place;

	if (target_is_uri(path) && options->format != NULL && strcmp(format, "raw") != 0)
		return fail(err, ERR_USAGE, "%s: an NBD export is raw", path);
	*out = &target_stream;
	if (target_is_stream(path))
		return 0;
	TRY(target_look(path, options->force, &place, err));
	*out = kinds[place];
	if (place != TARGET_EXPORT && strcmp(format, "raw") != 0)
		*out = &target_image;
	return 0;
}

static int check_compared(const struct target_kind *kind, const char *path,
			  const struct target_options *options, struct error *err)
{
	if (options->rollback && (kind->read == NULL || kind == &target_new_file))
		return fail(err, ERR_USAGE,
			    "%s: --rollback changes a raw file, block device or NBD export that is "
			    "there",
			    path);
	if (options->resume && kind->read == NULL)
		return fail(err, ERR_USAGE,
			    "%s: --resume is for raw files, block devices and NBD exports", path);
	return 0;
}

int target_open(struct target **out, const char *path, uint64_t size_bytes,
		const struct target_options *options, struct error *err)
{
	const struct target_kind *kind = NULL;

	TRY(choose_kind(&kind, path, options, err));
	TRY(check_compared(kind, path, options, err));
	if (options->n_image_options > 0 && kind != &target_image)
		return fail(err, ERR_USAGE, "%s: ,%s is for an image, and this is raw", path,
			    options->image_options[0]);
	struct target *target = calloc(1, kind->size);
	char *own_path = strdup(path);
	if (target == NULL || own_path == NULL) {
		free(target);
		free(own_path);
		return fail_memory(err);
	}
	*target = (struct target){
		.kind = kind,
		.path = own_path,
		.size_bytes = size_bytes,
		.sync = options->sync,
		.hold = options->hold,
		.rollback = options->rollback || (options->resume && kind != &target_new_file),
	};
	if (kind->open(target, options, err) != 0) {
		target_close(target);
		return err->code;
	}
	*out = target;
	return 0;
}

bool target_is_uri(const char *path)
{
	return nbdclient_is_uri(path);
}

/* ---- using ---- */

bool target_takes_clusters(const struct target *target)
{
	return target->kind->zero == NULL;
}

int target_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
		 struct error *err)
{
	assert(offset <= target->size_bytes && n <= target->size_bytes - offset);
	target->written_bytes += n;
	return target->kind->write(target, offset, bytes, n, err);
}

bool target_compares(const struct target *target)
{
	return target->rollback;
}

int target_read(const struct target *target, uint64_t offset, void *bytes, size_t n)
{
	assert(offset <= target->size_bytes && n <= target->size_bytes - offset);
	return target->kind->read(target, offset, bytes, n);
}

void target_keep(struct target *target, uint64_t offset, uint64_t n)
{
	if (target->kind->keep != NULL)
		target->kind->keep(target, offset, n);
}

uint64_t target_written(const struct target *target)
{
	return target->written_bytes;
}

int target_zero(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	assert(offset <= target->size_bytes && n <= target->size_bytes - offset);
	return target->kind->zero != NULL ? target->kind->zero(target, offset, n, err) : 0;
}

uint64_t target_excess(const struct target *target)
{
	return target->excess_bytes;
}

int target_settle(struct target *target, struct error *err)
{
	if (target->kind->settle != NULL && !target->settled)
		TRY(target->kind->settle(target, err));
	target->settled = true;
	return 0;
}

int target_finish(struct target *target, struct error *err)
{
	TRY(target_settle(target, err));
	TRY(target->kind->finish(target, err));
	if (target->temp == NULL || !target->hold)
		return target_publish(target, err);
	target->held = newfile_where(target->temp);
	return target->held != NULL ? 0 : fail_memory(err);
}

const char *target_held(const struct target *target)
{
	return target->held;
}

int target_publish(struct target *target, struct error *err)
{
	return target->temp == NULL
		       ? 0
		       : newfile_publish(target->temp, target->replaces, target->sync, err);
}

void target_close(struct target *target)
{
	if (target == NULL)
		return;
	target->kind->close(target);
	newfile_free(target->temp);
	free(target->held);
	free(target->path);
	free(target);
}

/* ---- files that are written whole ---- */

int target_put_file(const char *path, const void *bytes, size_t n,
		    const struct target_options *options, struct error *err)
{
	struct newfile *temp = NULL;
	struct stat st;
	int fd = -1;

	if (!options->force && lstat(path, &st) == 0)
		return fail(err, ERR_USAGE, "%s: exists already; --force overwrites it", path);
	TRY(newfile_create(&temp, &fd, path, err));
	int sys = io_pwrite(fd, bytes, n, 0, 0);
	int code = sys == 0 ? disk_end(&fd, path, options->sync, err)
			    : fail_system(err, sys, "%s: writing", path);
	if (code == 0)
		code = newfile_publish(temp, options->force, options->sync, err);
	if (fd >= 0)
		close(fd);
	newfile_free(temp);
	return code;
}
