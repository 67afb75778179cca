/*
 * Drives in image formats of QEMU, read through a captive qemu-nbd: see qemunbd.c.
 */
#include "drive/qemu.h"

#include "drive/backing.h"
#include "drive/kind.h"
#include "nbd/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if HAVE_LIBNBD

struct captive {
	struct drive drive;
	struct image image;
	struct qemu_nbd *server;
};

static struct captive *captive_of(struct drive *drive)
{
	return (struct captive *)drive;
}

static int captive_read(struct drive *drive, uint64_t offset, void *buffer, size_t n,
			struct error *err)
{
	struct captive *captive = captive_of(drive);
	int code = nbdclient_read(qemu_nbd_client(captive->server), offset, buffer, n, err);

	return code == 0 ? 0 : qemu_nbd_explain(captive->server, err);
}

static int captive_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
			  struct error *err)
{
	struct captive *captive = captive_of(drive);

	return nbdclient_status(qemu_nbd_client(captive->server), offset, n, zero, err);
}

static bool captive_changed(struct drive *drive)
{
	return image_was_changed(&captive_of(drive)->image, drive->path);
}

/* qemu-nbd only reads, so it has nothing to finish and can be killed. */
static void captive_close(struct drive *drive)
{
	struct captive *captive = captive_of(drive);

	qemu_nbd_close(captive->server);
	image_close(&captive->image);
	free(captive);
}

static const struct drive_ops captive_ops = {
	.read = captive_read,
	.status = captive_status,
	.changed = captive_changed,
	.close = captive_close,
};

static int examine(struct captive *captive, const struct qemu_image *how, struct error *err)
{
	char warning[1000];

	TRY(qemu_image_examine(how, warning, sizeof(warning), err));
	if (*warning == '\0')
		return 0;
	captive->drive.warning = strdup(warning);
	return captive->drive.warning != NULL ? 0 : fail_memory(err);
}

int captive_open(struct drive **out, const char *path, const struct drive_options *options,
		 struct error *err)
{
	struct qemu_image how = {
		.name = path,
		.path = path,
		.format = image_format_given(path, options->format, options->secret),
		.secret = options->secret,
		.force_share = options->allow_writers,
		.damaged_too = options->damaged_too,
	};
	struct captive *captive = calloc(1, sizeof(*captive));
	int code;

	if (captive == NULL)
		return fail_memory(err);
	captive->drive.ops = &captive_ops;
	captive->image.fd = -1;
	code = image_open(&captive->image, path,
			  options->allow_writers ? IMAGE_READ_SHARED
			  : options->keep	 ? IMAGE_READ_KEPT
						 : IMAGE_READ,
			  err);
	if (code == 0 && options->format == NULL)
		code = image_check_content(&captive->image, path, how.format, CONTENT_SOURCE, err);
	if (code == 0) {
		how.block_device = S_ISBLK(captive->image.opened.st_mode);
		code = qemu_nbd_open(&captive->server, &how, err);
	}
	if (code == 0)
		code = examine(captive, &how, err);
	if (code != 0) {
		captive_close(&captive->drive);
		return code;
	}
	captive->drive.size_bytes = nbdclient_size(qemu_nbd_client(captive->server));
	*out = &captive->drive;
	return 0;
}

#else

int captive_open(struct drive **out, const char *path, const struct drive_options *options,
		 struct error *err)
{
	struct qemu_image how = {
		.name = path,
		.format = image_format_given(path, options->format, options->secret),
	};
	struct qemu_nbd *server;

	(void)out;
	return qemu_nbd_open(&server, &how, err);
}

#endif
