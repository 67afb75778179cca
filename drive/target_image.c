/*
 * Images in formats of QEMU, written through a qemu-nbd of our own.
 *
 * In a folder an image is always created under a temporary name and replaces the old one at the
 * end, along with the old one's content, backing file and snapshots. qemu-img and qemu-nbd open the
 * file by our descriptor in /proc, so that renaming its folder meanwhile does no harm. On a block
 * device it is made where it stays.
 */
#include "drive/target_parts.h"

#include "base/bytes.h"
#include "base/io.h"
#include "base/newfile.h"
#include "drive/argument.h"
#include "drive/qemu.h"
#include "nbd/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT_MAX 5u

#if HAVE_LIBNBD

struct target_image {
	struct target target;
	struct image old; /* locked, and left alone until the new one is complete */
	int fd;		  /* of the new one, or the device */
	struct qemu_nbd *server;
	char kept[KEPT_MAX][32]; /* options of the old one */
	unsigned n_kept;
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
	return disk_end(&image->fd, target->path, target->sync, err);
}

static void image_end(struct target *target)
{
	struct target_image *image = (struct target_image *)target;

	qemu_nbd_close(image->server);
	image_close(&image->old);
	if (image->fd >= 0)
		close(image->fd);
}

/* What the header of a qcow2 image says: qcow2's specification, section Header. */
static void keep_options(struct target_image *image)
{
	enum {
		AT_VERSION = 4,
		AT_CLUSTER_BITS = 20,
		AT_INCOMPATIBLE = 72,
		AT_COMPATIBLE = 80,
		AT_REFCOUNT = 96,
	};
	uint8_t header[104];
	char(*kept)[32] = image->kept;

	if (io_pread(image->old.fd, header, sizeof(header), 0, NULL) != 0 ||
	    memcmp(header, "QFI\xfb", 4) != 0)
		return;
	uint64_t version = get_be(header + AT_VERSION, 4),
		 bits = get_be(header + AT_CLUSTER_BITS, 4);
	uint64_t order = get_be(header + AT_REFCOUNT, 4);
	if (bits < 9 || bits > 21 || version < 2 || version > 3 || (version == 3 && order > 6))
		return;
	snprintf(kept[0], sizeof(kept[0]), "cluster_size=%u", 1u << bits);
	snprintf(kept[1], sizeof(kept[1]), "compat=%s", version == 3 ? "1.1" : "0.10");
	image->n_kept = 2;
	if (version == 2)
		return;
	bool extended = (get_be(header + AT_INCOMPATIBLE, 8) & 16) != 0;
	bool lazy = (get_be(header + AT_COMPATIBLE, 8) & 1) != 0;
	snprintf(kept[2], sizeof(kept[2]), "refcount_bits=%u", 1u << order);
	snprintf(kept[3], sizeof(kept[3]), "extended_l2=%s", extended ? "on" : "off");
	snprintf(kept[4], sizeof(kept[4]), "lazy_refcounts=%s", lazy ? "on" : "off");
	image->n_kept = KEPT_MAX;
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
	target->replaces = true;
	TRY(image_open(&image->old, real, IMAGE_REPLACE, err));
	if (!format_given)
		TRY(image_check_content(&image->old, real, format, CONTENT_FILE_TARGET, err));
	if (strcmp(format, "qcow2") == 0)
		keep_options(image);
	return 0;
}

/* A new image reads as zeros because its file was empty. One that has its clusters before they are
 * written would show what the device held. */
static int take_device(struct target_image *image, const char *format,
		       const struct target_options *options, struct error *err)
{
	const char *path = image->target.path;

	if (strcmp(format, "qcow2") != 0)
		return fail(err, ERR_USAGE, "%s: a %s image goes to a file only", path, format);
	for (unsigned i = 0; i < options->n_image_options; i++) {
		const char *option = options->image_options[i];

		if (strncmp(option, "preallocation=", 14) == 0 && strcmp(option + 14, "off") != 0)
			return fail(err, ERR_USAGE, "%s: ,%s is not for a block device", path,
				    option);
	}
	/* QEMU's locks are left to qemu-img and qemu-nbd; the exclusive claim stays. */
	lock_release(image->old.fd);
	image->fd = image->old.fd;
	image->old.fd = -1;
	return 0;
}

static int make_image(struct target_image *image, const char *format,
		      const struct target_options *options, struct error *err)
{
	const struct target *target = &image->target;
	const char *all[KEPT_MAX + IMAGE_OPTIONS_MAX];
	bool on_device = target->temp == NULL;
	unsigned n = 0;
	char path[64];
	struct qemu_new_image what = {
		.name = target->path,
		.path = path,
		.format = format,
		.block_device = on_device,
		.size_bytes = target->size_bytes,
		.options = all,
	};
	const struct qemu_image how = {
		.name = target->path,
		.path = path,
		.format = format,
		.block_device = on_device,
		.writable = true,
	};

	for (unsigned i = 0; i < image->n_kept; i++)
		all[n++] = image->kept[i];
	for (unsigned i = 0; i < options->n_image_options; i++)
		all[n++] = options->image_options[i];
	what.n_options = n;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), image->fd);
	TRY(qemu_img_create(&what, err));
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
	if (target->replaces && S_ISBLK(image->old.opened.st_mode))
		TRY(take_device(image, format, options, err));
	else
		TRY(newfile_create(&target->temp, &image->fd, target->path, err));
	return make_image(image, format, options, err);
}

const struct target_kind target_image = {
	.size = sizeof(struct target_image),
	.open = image_begin,
	.write = image_write,
	.zero = image_zero,
	.finish = image_finish,
	.close = image_end,
};

#endif
