/*
 * Targets at the other end of NBD: what a URI names, and images that QEMU understands, through a
 * qemu-nbd of our own.
 *
 * An image is always made anew, under a temporary name, and replaces the old one at the end: what
 * was in it, its backing file and its snapshots go with it. qemu-img and qemu-nbd reach the file
 * through our descriptor of it in /proc, so that a folder that is renamed meanwhile does no harm.
 */
#include "nbd/client.h"
#include "drive/qemunbd.h"
#include "drive/target_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if HAVE_LIBNBD

static int write_nbd(struct target *target, uint64_t offset, const void *bytes, size_t n,
		     struct error *err)
{
	int code = nbdclient_write(target->client, offset, bytes, n, err);

	return code == 0 || target->server == NULL ? code : qemu_nbd_explain(target->server, err);
}

static int zero_nbd(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	if (offset >= target->old_bytes)
		return 0;
	if (n > target->old_bytes - offset)
		n = target->old_bytes - offset;
	return nbdclient_zero(target->client, offset, n, err);
}

/* It may have a thin volume: see device.c. */
static int zero_rest(struct target *target, struct error *err)
{
	uint64_t cluster = 0, n, size = target->size_bytes;
	int code = 0;

	for (; code == 0 && rest_next(target->rest, &cluster, &n, UINT64_MAX); cluster += n) {
		uint64_t offset = cluster * CLUSTER_SIZE, end = offset + n * CLUSTER_SIZE;
		if (offset < size)
			code = nbdclient_zero(target->client, offset,
					      (end < size ? end : size) - offset, err);
	}
	return code == 0 && target->end_bytes > size
		       ? nbdclient_zero(target->client, size, target->end_bytes - size, err)
		       : code;
}

static int finish_nbd(struct target *target, struct error *err)
{
	int code = zero_rest(target, err);

	return code == 0 && target->sync ? nbdclient_flush(target->client, err) : code;
}

static void close_nbd(struct target *target)
{
	nbdclient_free(target->client);
}

static const struct target_kind server_kind = {
	.write = write_nbd,
	.finish = finish_nbd,
	.close = close_nbd,
	.keeps_rest = true,
	.zeros_last = true,
};

int target_nbd_open(struct target *target, const struct target_options *options, struct error *err)
{
	target->kind = &server_kind;
	if (!options->force)
		return fail(err, ERR_USAGE, "%s: is what a server has; --force overwrites it",
			    target->path);
	int code = nbdclient_connect(&target->client, target->path, err);
	if (code != 0)
		return code;
	target->old_bytes = nbdclient_size(target->client);
	if (nbdclient_is_read_only(target->client))
		return fail(err, ERR_USAGE, "%s: is read-only", target->path);
	TRY(target_check_content(target, target->old_bytes, err));
	return target_fit(target, err);
}

/* ---- images ---- */

static int finish_image(struct target *target, struct error *err)
{
	return qemu_nbd_finish(target->server, err);
}

static void close_image(struct target *target)
{
	qemu_nbd_close(target->server);
	if (target->replaced_fd >= 0)
		close(target->replaced_fd);
}

static const struct target_kind image_kind = {
	.write = write_nbd,
	.zero = zero_nbd,
	.finish = finish_image,
	.close = close_image,
};

/* The one that is there, which stays as it is until the new one is complete. */
static int claim_old(struct target *target, struct error *err)
{
	struct stat st;
	char *real = realpath(target->path, NULL);

	if (real == NULL)
		return fail_system(err, errno, "%s", target->path);
	free(target->path);
	target->path = real;
	target->replaced_fd = open(real, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (target->replaced_fd < 0 || fstat(target->replaced_fd, &st) != 0)
		return fail_system(err, errno, "%s", target->path);
	if (!S_ISREG(st.st_mode))
		return fail(err, ERR_USAGE, "%s: a %s image goes to a file only", target->path,
			    target->format);
	TRY(target_lock(target, target->replaced_fd, err));
	return target_check_content(target, (uint64_t)st.st_size, err);
}

static int make_image(struct target *target, struct error *err)
{
	char path[64];
	struct qemu_nbd_options how = {
		.name = target->path, .path = path, .format = target->format, .writable = true};
	int code = newfile_create(&target->temp, &target->fd, target->path, err);

	if (code != 0)
		return code;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), target->fd);
	code = qemu_img_create(target->path, path, target->format, target->size_bytes, err);
	if (code == 0)
		code = qemu_nbd_open(&target->server, &how, err);
	return code;
}

int target_image_open(struct target *target, bool exists, struct error *err)
{
	target->kind = &image_kind;
	if (!is_image_format(target->format))
		return fail(err, ERR_USAGE, "%s: '%s' is not the name of an image format",
			    target->path, target->format);
	int code = exists ? claim_old(target, err) : 0;
	if (code == 0)
		code = make_image(target, err);
	if (code != 0)
		return code;
	target->client = qemu_nbd_client(target->server);
	/* What is larger than the drive, or was never written, is zero in a new image. */
	if (nbdclient_size(target->client) < target->size_bytes)
		return fail(err, ERR_USAGE,
			    "%s: a %s image has %" PRIu64 " bytes, and the drive %" PRIu64,
			    target->path, target->format, nbdclient_size(target->client),
			    target->size_bytes);
	return 0;
}

#else

static int fail_without(const struct target *target, struct error *err)
{
	return fail(err, ERR_USAGE,
		    "%s: needs libnbd, and this program was built without it: install libnbd-dev "
		    "and qemu-utils and build again",
		    target->path);
}

int target_nbd_open(struct target *target, const struct target_options *options, struct error *err)
{
	(void)options;
	return fail_without(target, err);
}

int target_image_open(struct target *target, bool exists, struct error *err)
{
	(void)exists;
	return fail_without(target, err);
}

#endif
