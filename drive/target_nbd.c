/*
 * Targets that are written through NBD: exports named by a URI, and images in formats of QEMU,
 * through a qemu-nbd of our own.
 *
 * An image is always created under a temporary name and replaces the old one at the end, along with
 * the old one's content, backing file and snapshots. qemu-img and qemu-nbd open the file by our
 * descriptor in /proc, so that renaming its folder meanwhile does no harm.
 */
#include "drive/target_parts.h"

#include "base/newfile.h"
#include "drive/qemu.h"
#include "nbd/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if HAVE_LIBNBD

/* ---- exports of a server ---- */

struct server {
	struct target target;
	struct nbdclient *client;
	struct rest *rest;
};

static int server_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
			struct error *err)
{
	struct server *server = (struct server *)target;

	rest_mark_bytes(server->rest, offset, n);
	return nbdclient_write(server->client, offset, bytes, n, err);
}

/* It may be a thin volume: see target_device.c. */
static int zero_rest(struct server *server, struct error *err)
{
	uint64_t cluster = 0, n, size = server->target.size_bytes, all = rest_end(server->rest);

	while (rest_next(server->rest, &cluster, &n, UINT64_MAX)) {
		uint64_t offset = cluster * CLUSTER_SIZE, end = offset + n * CLUSTER_SIZE;
		if (offset < size)
			TRY(nbdclient_zero(server->client, offset, least(end, size) - offset, err));
		cluster += n;
	}
	return all > size ? nbdclient_zero(server->client, size, all - size, err) : 0;
}

static int server_finish(struct target *target, struct error *err)
{
	struct server *server = (struct server *)target;

	TRY(zero_rest(server, err));
	return target->sync ? nbdclient_flush(server->client, err) : 0;
}

static void server_close(struct target *target)
{
	struct server *server = (struct server *)target;

	nbdclient_free(server->client);
	rest_free(server->rest);
}

static int check_content(const struct server *server, struct error *err)
{
	struct content content;

	content_ask(&content, server->client);
	return content_check(&content, server->target.path, "raw", CONTENT_RAW_TARGET, err);
}

static int server_open(struct target *target, const struct target_options *options,
		       struct error *err)
{
	struct server *server = (struct server *)target;

	TRY(nbdclient_connect(&server->client, target->path, err));
	if (nbdclient_is_read_only(server->client))
		return fail(err, ERR_USAGE, "%s: is read-only", target->path);
	if (options->format == NULL)
		TRY(check_content(server, err));
	TRY(rest_new(&server->rest, target->path, target->size_bytes,
		     nbdclient_size(server->client), err));
	target->excess_bytes = rest_excess(server->rest);
	return 0;
}

const struct target_kind target_server = {
	.size = sizeof(struct server),
	.open = server_open,
	.write = server_write,
	.finish = server_finish,
	.close = server_close,
};

/* ---- images ---- */

struct target_image {
	struct target target;
	struct image old; /* locked, and left alone until the new one is complete */
	int fd;		  /* of the new one */
	struct newfile *temp;
	bool replaces;
	struct qemu_nbd *server;
};

static int image_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
		       struct error *err)
{
	struct qemu_nbd *server = ((struct target_image *)target)->server;

	if (nbdclient_write(qemu_nbd_client(server), offset, bytes, n, err) != 0)
		return qemu_nbd_explain(server, err);
	return 0;
}

/* What was never written is zero in a new image. */
static int image_zero(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	(void)target, (void)offset, (void)n, (void)err;
	return 0;
}

static int image_finish(struct target *target, struct error *err)
{
	struct target_image *image = (struct target_image *)target;

	TRY(qemu_nbd_finish(image->server, err));
	TRY(disk_end(&image->fd, target->path, target->sync, err));
	return newfile_publish(image->temp, image->replaces, target->sync, err);
}

static void image_end(struct target *target)
{
	struct target_image *image = (struct target_image *)target;

	qemu_nbd_close(image->server);
	image_close(&image->old);
	if (image->fd >= 0)
		close(image->fd);
	newfile_free(image->temp);
}

static int claim_old(struct target_image *image, const char *format, bool format_given,
		     struct error *err)
{
	struct target *target = &image->target;
	char *real = realpath(target->path, NULL);

	if (real == NULL)
		return errno == ENOENT ? 0 : fail_system(err, errno, "%s", target->path);
	free(target->path);
	target->path = real;
	image->replaces = true;
	TRY(image_open(&image->old, real, IMAGE_REPLACE, err));
	return format_given
		       ? 0
		       : image_check_content(&image->old, real, format, CONTENT_FILE_TARGET, err);
}

static int make_new(struct target_image *image, const char *format, struct error *err)
{
	const struct target *target = &image->target;
	char path[64];
	const struct qemu_image how = {
		.name = target->path,
		.path = path,
		.format = format,
		.writable = true,
	};

	TRY(newfile_create(&image->temp, &image->fd, target->path, err));
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), image->fd);
	TRY(qemu_img_create(target->path, path, format, target->size_bytes, err));
	TRY(qemu_nbd_open(&image->server, &how, err));
	uint64_t size_bytes = nbdclient_size(qemu_nbd_client(image->server));
	if (size_bytes < target->size_bytes)
		return fail(err, ERR_USAGE,
			    "%s: a %s image has %" PRIu64 " bytes, and the drive %" PRIu64,
			    target->path, format, size_bytes, target->size_bytes);
	return 0;
}

static int image_begin(struct target *target, const struct target_options *options,
		       struct error *err)
{
	struct target_image *image = (struct target_image *)target;
	const char *format =
		options->format != NULL ? options->format : image_format_of(target->path);

	image->fd = image->old.fd = -1;
	if (!is_image_format(format))
		return fail(err, ERR_USAGE, "%s: '%s' is not the name of an image format",
			    target->path, format);
	TRY(claim_old(image, format, options->format != NULL, err));
	return make_new(image, format, err);
}

const struct target_kind target_image = {
	.size = sizeof(struct target_image),
	.open = image_begin,
	.write = image_write,
	.zero = image_zero,
	.finish = image_finish,
	.close = image_end,
};

#else

static int open_none(struct target *target, const struct target_options *options, struct error *err)
{
	(void)options;
	return fail(err, ERR_USAGE,
		    "%s: needs libnbd, and this program was built without it: install libnbd-dev "
		    "and qemu-utils and build again",
		    target->path);
}

static void close_none(struct target *target)
{
	(void)target;
}

const struct target_kind target_server = {
	.size = sizeof(struct target),
	.open = open_none,
	.close = close_none,
};
const struct target_kind target_image = {
	.size = sizeof(struct target),
	.open = open_none,
	.close = close_none,
};

#endif
