/*
 * Drives in image formats of QEMU, read through a captive qemu-nbd: see qemunbd.c.
 */
#include "drive/qemu.h"

#include "drive/backing.h"
#include "drive/kind.h"
#include "drive/guest_nbd.h"
#include "drive/qcow2file.h"
#include "nbd/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#if HAVE_LIBNBD

struct captive {
	struct drive drive;
	struct image image;
	struct qemu_nbd *server;
	char internal[32]; /* the id of the snapshot that is read; empty: none */
	uint64_t internal_bytes;
	atomic_int flush_failed;
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

static int captive_write(struct drive *drive, uint64_t offset, const void *from, uint32_t n,
			 unsigned flags)
{
	struct captive *captive = captive_of(drive);

	return guest_nbd_write(qemu_nbd_client(captive->server), &captive->flush_failed, offset,
			       from, n, flags);
}

static int captive_zero(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags)
{
	struct captive *captive = captive_of(drive);

	return guest_nbd_zero(qemu_nbd_client(captive->server), &captive->flush_failed, offset, n,
			      flags);
}

static int captive_trim(struct drive *drive, uint64_t offset, uint64_t n)
{
	return captive_zero(drive, offset, n, DRIVE_MAY_TRIM);
}

static int captive_flush(struct drive *drive)
{
	struct captive *captive = captive_of(drive);

	return guest_nbd_flush(qemu_nbd_client(captive->server), &captive->flush_failed);
}

/* A qemu-nbd that only reads has nothing to finish and can be killed. What a guest wanted durable
 * was flushed. */
static void captive_close(struct drive *drive)
{
	struct captive *captive = captive_of(drive);
	struct error ignored;

	if (drive->writable && captive->server != NULL)
		qemu_nbd_finish(captive->server, &ignored);
	qemu_nbd_close(captive->server);
	image_close(&captive->image);
	free(captive);
}

static const struct drive_ops captive_ops = {
	.read = captive_read,
	.status = captive_status,
	.write = captive_write,
	.zero = captive_zero,
	.trim = captive_trim,
	.flush = captive_flush,
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

static bool is_plain(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] < '0' || bytes[i] > '9')
			return false;
	}
	return n > 0;
}

/* qemu-nbd may take a name for an id, but an id for nothing else. */
static int find_internal(struct captive *captive, const char *path, const char *name,
			 struct error *err)
{
	struct qcow2_snapshot snapshot;
	struct qcow2_file file;
	int code = qcow2_file_open(&file, path, err);

	if (code == 0)
		code = qcow2_file_snapshot(&file, name, &snapshot, err);
	if (code == 0 && (snapshot.id.length >= sizeof(captive->internal) ||
			  !is_plain(snapshot.id.bytes, snapshot.id.length)))
		code = fail(err, ERR_UNSUPPORTED, "%s: the id of the snapshot is not usable", path);
	if (code == 0) {
		memcpy(captive->internal, snapshot.id.bytes, snapshot.id.length);
		captive->internal_bytes = snapshot.size_bytes;
	}
	qcow2_file_close(&file);
	return code;
}

/* qemu-nbd shows a snapshot in the size that the image has now. */
static int set_size(struct captive *captive, const char *path, struct error *err)
{
	uint64_t shown = nbdclient_size(qemu_nbd_client(captive->server));

	captive->drive.size_bytes = shown;
	if (captive->internal[0] == '\0')
		return 0;
	captive->drive.size_bytes = captive->internal_bytes;
	if (captive->internal_bytes <= shown)
		return 0;
	return fail(err, ERR_UNSUPPORTED,
		    "%s: the snapshot has %" PRIu64 " bytes and the image now %" PRIu64
		    ", so that its end cannot be read; qemu-img resize makes it large enough",
		    path, captive->internal_bytes, shown);
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
		.writable = options->writable,
		.socket = options->socket,
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
	if (code == 0 && options->internal != NULL) {
		code = find_internal(captive, path, options->internal, err);
		how.internal = captive->internal;
	}
	if (code == 0) {
		how.block_device = S_ISBLK(captive->image.opened.st_mode);
		code = qemu_nbd_open(&captive->server, &how, err);
	}
	if (code == 0)
		code = set_size(captive, path, err);
	if (code == 0 && !options->writable)
		code = examine(captive, &how, err);
	captive->drive.writable = code == 0 && options->writable;
	if (code != 0) {
		captive_close(&captive->drive);
		return code;
	}
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
