#include "drive/target_kind.h"
#include "drive/content.h"
#include "drive/inuse.h"
#include "nbd/client.h"
#include "base/place.h"
#include "drive/qemunbd.h"
#include "base/writeback.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAIL_MAX 4194304u /* bytes past the drive that are zeroed: volumes are rounded up */

/* QEMU tells others what it does with an image by shared locks on single bytes: from 100 on what it
 * does, from 200 on what nobody else may do. Our lock on all of these finds out whether there is
 * one, and keeps others away, a second target of our own included. Where there are no locks nothing
 * is lost. */
int target_lock(const struct target *target, int fd, struct error *err)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = 100,
		.l_len = 200,
	};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES))
		return inuse_check(fd, target->path, true, err);
	return fail(err, ERR_LOCKED,
		    "%s: is in use by a running QEMU, vmabak serve or another restore",
		    target->path);
}

bool target_punch(struct target *target, uint64_t offset, uint64_t n)
{
	int code;

	if (atomic_load(&target->cannot_punch))
		return false;
	do
		code = fallocate(target->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 (off_t)offset, (off_t)n);
	while (code != 0 && errno == EINTR);
	/* Whatever the reason: if it is a serious one, writing will tell. */
	if (code != 0)
		atomic_store(&target->cannot_punch, true);
	return code == 0;
}

/* For a longer write the kernel looks for memory in pieces as large as can be had, which are the
 * ones that are not in any cache, or not there at all yet: four times the time was measured. */
#define WRITE_MAX (256u << 10)

int target_pwrite(struct target *target, uint64_t offset, const void *bytes, size_t n,
		  struct error *err)
{
	const uint8_t *from = bytes;

	while (n > 0) {
		ssize_t done =
			pwrite(target->fd, from, n < WRITE_MAX ? n : WRITE_MAX, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return fail_system(err, errno, "%s: writing at byte %" PRIu64, target->path,
					   offset);
		from += done;
		n -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

/* On its way to the disk while the rest is decoded, so that the sync at the end is short. */
#define SEND_BYTES (32u << 20)

/* *begin, *n: what is to be sent now; n is 0 when that is nothing. */
static void note_written(struct target *target, uint64_t offset, size_t n, uint64_t *begin,
			 uint64_t *send)
{
	bool first = target->unsent_bytes == 0;

	*send = 0;
	if (first || offset < target->unsent_begin)
		target->unsent_begin = offset;
	if (first || offset + n > target->unsent_end)
		target->unsent_end = offset + n;
	target->unsent_bytes += n;
	if (!target->sync || target->unsent_bytes < SEND_BYTES)
		return;
	*begin = target->unsent_begin;
	*send = target->unsent_end - target->unsent_begin;
	target->unsent_bytes = 0;
}

int target_fit(struct target *target, struct error *err)
{
	if (target->old_bytes < target->size_bytes)
		return fail(err, ERR_USAGE, "%s: has %" PRIu64 " bytes, and the drive %" PRIu64,
			    target->path, target->old_bytes, target->size_bytes);
	target->end_bytes = target_excess(target) > 0 ? target->size_bytes : target->old_bytes;
	return target->kind->zeros_last ? rest_new(&target->rest, target->end_bytes, err) : 0;
}

int target_check_content(const struct target *target, uint64_t old_bytes, struct error *err)
{
	int fd = target->replaced_fd >= 0 ? target->replaced_fd : target->fd;
	enum content_use use = CONTENT_FILE_TARGET;
	struct content content;

	if (target->told)
		return 0;
#if HAVE_LIBNBD
	if (target->client != NULL)
		content_ask(&content, target->client);
	else
#endif
		content_read(&content, fd, old_bytes);
	if (target->kind->keeps_rest)
		use = CONTENT_RAW_TARGET;
	return content_check(&content, target->path, target->format, use, err);
}

uint64_t target_excess(const struct target *target)
{
	uint64_t rest = target->old_bytes - target->size_bytes;

	return target->kind->keeps_rest && rest > TAIL_MAX ? rest : 0;
}

static int check_missing(const char *path, struct error *err)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return fail(err, ERR_USAGE, "%s: is a symbolic link to nothing", path);
	return 0;
}

/* A file among devices is an earlier mistake. */
static int check_place(const char *path, struct error *err)
{
	char *real = realpath(path, NULL);
	int code = real != NULL ? place_check(real, err) : 0;

	free(real);
	return code;
}

static int open_by_kind(struct target *target, const struct target_options *options,
			struct error *err)
{
	bool is_raw = strcmp(target->format, "raw") == 0;
	struct stat st;

	if (stat(target->path, &st) != 0) {
		if (errno != ENOENT)
			return fail_system(err, errno, "%s", target->path);
		int code = check_missing(target->path, err);
		if (code != 0)
			return code;
		return is_raw ? target_file_create(target, err)
			      : target_image_open(target, false, err);
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail(err, ERR_USAGE, "%s: is neither a file nor a block device",
			    target->path);
	if (!options->force)
		return fail(err, ERR_USAGE, "%s: %s; --force overwrites it", target->path,
			    S_ISREG(st.st_mode) ? "exists already" : "is a block device");
	target->replace = true;
	if (S_ISREG(st.st_mode) && check_place(target->path, err) != 0)
		return err->code;
	if (!is_raw)
		return target_image_open(target, true, err);
	if (S_ISREG(st.st_mode))
		return target_file_open(target, err);
	return target_device_open(target, err);
}

static int open_uri(struct target *target, const struct target_options *options, struct error *err)
{
	if (options->format != NULL && strcmp(options->format, "raw") != 0)
		return fail(err, ERR_USAGE, "%s: what an NBD server has is raw", target->path);
	return target_nbd_open(target, options, err);
}

int target_open(struct target **out, const char *path, uint64_t size_bytes,
		const struct target_options *options, struct error *err)
{
	struct target *target = calloc(1, sizeof(*target));
	int code;

	if (target != NULL) {
		target->fd = target->replaced_fd = target->look_fd = -1;
		target->sync = options->sync;
		target->format = options->format != NULL ? options->format : image_format_of(path);
		target->told = options->format != NULL;
		pthread_mutex_init(&target->writing, NULL);
		target->size_bytes = size_bytes;
		target->path = strdup(path);
	}
	if (target == NULL || target->path == NULL)
		code = fail_system(err, ENOMEM, "%s", path);
	else if (target_is_uri(path))
		code = open_uri(target, options, err);
	else
		code = open_by_kind(target, options, err);
	if (code != 0) {
		target_close(target);
		return code;
	}
	*out = target;
	return 0;
}

bool target_is_uri(const char *path)
{
	return nbdclient_is_uri(path);
}

bool target_takes_clusters(const struct target *target)
{
	return target->kind->zeros_last;
}

/* Before it is written: who fails never finishes. */
static void mark_written(struct target *target, uint64_t offset, size_t n)
{
	uint64_t end = offset + n;

	assert(offset % CLUSTER_SIZE == 0 && (n % CLUSTER_SIZE == 0 || end == target->size_bytes));
	rest_mark(target->rest, offset / CLUSTER_SIZE, n / CLUSTER_SIZE + (n % CLUSTER_SIZE != 0));
}

int target_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
		 struct error *err)
{
	assert(offset <= target->size_bytes && n <= target->size_bytes - offset);
	if (target->rest != NULL)
		mark_written(target, offset, n);
	if (target->kind->write != NULL)
		return target->kind->write(target, offset, bytes, n, err);
	uint64_t begin, send = 0;

	pthread_mutex_lock(&target->writing);
	int code = target_pwrite(target, offset, bytes, n, err);
	if (code == 0)
		note_written(target, offset, n, &begin, &send);
	pthread_mutex_unlock(&target->writing);
	if (code != 0 || send == 0)
		return code;
	int sys = writeback_range(target->fd, begin, send, SYNC_FILE_RANGE_WRITE);
	return sys == 0 ? 0
			: fail_system(err, sys, "%s: writing back from byte %" PRIu64, target->path,
				      begin);
}

int target_zero(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	assert(offset <= target->size_bytes && n <= target->size_bytes - offset);
	return target->kind->zeros_last ? 0 : target->kind->zero(target, offset, n, err);
}

/* Syncs if asked to, and closes; some file systems tell of failed writes only then. */
static int settle(int *fd, const char *path, bool sync, struct error *err)
{
	if (sync && fsync(*fd) != 0)
		return fail_system(err, errno, "%s: syncing", path);
	int code = close(*fd);
	*fd = -1;
	return code != 0 ? fail_system(err, errno, "%s: closing", path) : 0;
}

int target_settle(struct target *target, struct error *err)
{
	int code = target->kind->settle != NULL && !target->settled
			   ? target->kind->settle(target, err)
			   : 0;

	target->settled = code == 0;
	return code;
}

int target_finish(struct target *target, struct error *err)
{
	int code = target_settle(target, err);

	if (code == 0)
		code = target->kind->finish(target, err);
	if (code == 0 && target->fd >= 0)
		code = settle(&target->fd, target->path, target->sync, err);
	if (code == 0 && target->temp != NULL)
		code = newfile_publish(target->temp, target->replace, target->sync, err);
	return code;
}

void target_close(struct target *target)
{
	if (target == NULL)
		return;
	if (target->kind != NULL && target->kind->close != NULL)
		target->kind->close(target);
	if (target->fd >= 0)
		close(target->fd);
	newfile_free(target->temp);
	rest_free(target->rest);
	pthread_mutex_destroy(&target->writing);
	free(target->path);
	free(target);
}

int target_put_file(const char *path, const void *bytes, size_t n,
		    const struct target_options *options, struct error *err)
{
	struct target file = {.path = (char *)path, .fd = -1};
	struct stat st;

	if (!options->force && lstat(path, &st) == 0)
		return fail(err, ERR_USAGE, "%s: exists already; --force overwrites it", path);
	int code = newfile_create(&file.temp, &file.fd, path, err);
	if (code != 0)
		return code;
	code = target_pwrite(&file, 0, bytes, n, err);
	if (code == 0)
		code = settle(&file.fd, path, options->sync, err);
	if (code == 0)
		code = newfile_publish(file.temp, options->force, options->sync, err);
	if (file.fd >= 0)
		close(file.fd);
	newfile_free(file.temp);
	return code;
}
