#include "drive/kind.h"

#include "base/bytes.h"
#include "base/clusterset.h"
#include "nbd/client.h"
#include "drive/qemu.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int check_secret(const char *path, const char *format, const struct drive_options *options,
			struct error *err)
{
	if (options->secret == NULL)
		return 0;
	if (!nbdclient_is_uri(path) &&
	    (strcmp(format, "luks") == 0 || strcmp(format, "qcow2") == 0 ||
	     strcmp(format, "qcow") == 0))
		return 0;
	return fail(err, ERR_USAGE, "%s: ,secret= is for encrypted images: luks, qcow2 and qcow",
		    path);
}

int drive_open(struct drive **out, const char *path, const struct drive_options *options,
	       struct error *err)
{
	const char *format = image_format_given(path, options->format, options->secret);
	struct drive *drive = NULL;
	bool is_uri = nbdclient_is_uri(path), is_stdin = strcmp(path, "-") == 0;
	int code;

	if (is_stdin && options->size_bytes == 0)
		return fail(err, ERR_USAGE,
			    "-: standard input can be a drive of a backup, with its size: "
			    "NAME=-,size=20G; a file called - is ./-");
	if (is_stdin && (options->direct || strcmp(format, "raw") != 0))
		return fail(err, ERR_USAGE,
			    "standard input is raw, and cannot be read with --direct");
	if (!is_stdin && options->size_bytes != 0)
		return fail(err, ERR_USAGE, "%s: ,size= is for standard input, -", path);
	TRY(check_secret(path, format, options, err));
	if (is_uri && options->format == NULL)
		format = "raw";
	if (is_uri && (options->direct || strcmp(format, "raw") != 0))
		return fail(err, ERR_USAGE,
			    "%s: an NBD export is raw, and cannot be read with --direct", path);
	if (options->direct && strcmp(format, "raw") != 0)
		return fail(err, ERR_USAGE, "%s: only raw images and devices can be read directly",
			    path);
	if (!is_image_format(format))
		return fail(err, ERR_USAGE, "%s: '%s' is not the name of an image format", path,
			    format);
	if (options->writable && !options->any_format && (is_uri || strcmp(format, "raw") != 0))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: a guest can write to raw images and devices only, not to %s; "
			    "--read-only serves others too",
			    path, is_uri ? "an NBD export" : format);
	if (options->writable && options->direct)
		return fail(err, ERR_USAGE, "%s: cannot be written past the page cache", path);
	if (options->internal != NULL && (is_uri || strcmp(format, "qcow2") != 0))
		return fail(err, ERR_USAGE, "%s: only qcow2 images have internal snapshots", path);
	char *own_path = strdup(path);
	if (own_path == NULL)
		return fail_memory(err);
	if (is_uri)
		code = drive_nbd_open(&drive, own_path, options, err);
	else if (is_stdin)
		code = drive_stdin_open(&drive, own_path, options, err);
	else if (strcmp(format, "raw") == 0)
		code = drive_file_open(&drive, own_path, options, err);
	else
		code = captive_open(&drive, own_path, options, err);
	if (code != 0) {
		free(own_path);
		return code;
	}
	drive_set_up(drive, own_path);
	drive->no_holes = options->no_holes;
	*out = drive;
	return 0;
}

void drive_set_up(struct drive *drive, char *path)
{
	drive->path = path;
	drive->used = NULL;
	pthread_mutex_init(&drive->asking, NULL);
}

void drive_close(struct drive *drive)
{
	if (drive == NULL)
		return;
	char *path = drive->path;
	free(drive->warning);
	pthread_mutex_destroy(&drive->asking);
	drive->ops->close(drive);
	free(path);
}

#define EXT_AT	    1024u /* its superblock, and in that: */
#define EXT_MAGIC   56u
#define EXT_FEATURE 96u
#define EXT_RECOVER 4u

/* The journal of ext3 and ext4, which the map of a program that does not replay it is before. Other
 * file systems do not tell as simply. */
static int check_recovery(struct drive *drive, struct error *err)
{
	uint8_t super[128];

	if (drive->size_bytes < EXT_AT + sizeof(super))
		return 0;
	TRY(drive->ops->read(drive, EXT_AT, super, sizeof(super), err));
	if (get_le(super + EXT_MAGIC, 2) != 0xef53 ||
	    !(get_le(super + EXT_FEATURE, 4) & EXT_RECOVER))
		return 0;
	return fail(err, ERR_USAGE,
		    "%s: its file system needs recovery: what its journal has is not in a map of "
		    "what is in use; mount it once, or leave nothing out",
		    drive->path);
}

int drive_leave_out(struct drive *drive, const struct cluster_set *used, struct error *err)
{
	TRY(check_recovery(drive, err));
	drive->used = used;
	return 0;
}

const struct cluster_set *drive_used(const struct drive *drive)
{
	return drive->used;
}

const char *drive_warning(const struct drive *drive)
{
	return drive->warning;
}

int drive_limit(struct drive *drive, uint64_t size_bytes, struct error *err)
{
	if (drive->size_bytes < size_bytes)
		return fail(err, ERR_USAGE, "%s: has %llu bytes, which is too small for %llu",
			    drive->path, (unsigned long long)drive->size_bytes,
			    (unsigned long long)size_bytes);
	drive->size_bytes = size_bytes;
	return 0;
}

uint64_t drive_size(const struct drive *drive)
{
	return drive->size_bytes;
}

/* How many bytes from here on are in use, or are not. */
static uint64_t use_run(const struct drive *drive, uint64_t offset, bool *in)
{
	uint64_t cluster = offset / CLUSTER_SIZE;
	uint64_t n =
		cluster_set_run(drive->used, cluster, clusters_of(drive->size_bytes) - cluster, in);

	return least((cluster + n) * CLUSTER_SIZE, drive->size_bytes) - offset;
}

int drive_read(struct drive *drive, uint64_t offset, void *buffer, size_t n, struct error *err)
{
	uint8_t *to = buffer;

	assert(offset <= drive->size_bytes && n <= drive->size_bytes - offset);
	if (drive->used == NULL)
		return drive->ops->read(drive, offset, buffer, n, err);
	while (n > 0) {
		bool in;
		size_t part = (size_t)least(use_run(drive, offset, &in), n);

		if (in)
			TRY(drive->ops->read(drive, offset, to, part, err));
		else
			memset(to, 0, part);
		offset += part;
		to += part;
		n -= part;
	}
	return 0;
}

int drive_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero, struct error *err)
{
	uint64_t most = drive->size_bytes - offset;
	bool in = true;

	assert(offset < drive->size_bytes);
	if (drive->used != NULL)
		most = use_run(drive, offset, &in);
	if (drive->no_holes || !in) {
		*n = most;
		*zero = !in;
		return 0;
	}
	pthread_mutex_lock(&drive->asking);
	int code = drive->ops->status(drive, offset, n, zero, err);
	pthread_mutex_unlock(&drive->asking);
	if (code == 0)
		*n = least(*n, most);
	return code;
}

int drive_read_clusters(struct drive *drive, uint64_t cluster, uint64_t n_clusters, uint8_t *to,
			struct error *err)
{
	uint64_t offset = cluster * CLUSTER_SIZE;
	size_t wanted = (size_t)n_clusters * CLUSTER_SIZE;
	size_t there = least(wanted, drive->size_bytes - offset);

	memset(to + there, 0, wanted - there);
	return drive_read(drive, offset, to, there, err);
}

uint64_t drive_zeros(struct drive *drive, uint64_t offset)
{
	bool asks = drive->ops->zeros != NULL && !drive->no_holes;
	uint64_t n = asks ? drive->ops->zeros(drive, offset) : 0, most;
	bool in = true;

	if (drive->used == NULL || offset == drive->size_bytes)
		return least(n, drive->size_bytes - offset);
	most = use_run(drive, offset, &in);
	return in ? least(n, most) : most;
}

static int errno_of(int code, const struct error *err)
{
	return code == 0 ? 0 : err->sys != 0 ? err->sys : EIO;
}

int drive_fetch(struct drive *drive, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	struct error err;

	assert(offset <= drive->size_bytes && n <= drive->size_bytes - offset);
	if (flags & DRIVE_NOW)
		return drive->ops->read_now != NULL ? drive->ops->read_now(drive, offset, to, n)
						    : EAGAIN;
	return errno_of(drive->ops->read(drive, offset, to, n, &err), &err);
}

int drive_write(struct drive *drive, uint64_t offset, const void *from, uint32_t n, unsigned flags)
{
	assert(offset <= drive->size_bytes && n <= drive->size_bytes - offset);
	return drive->writable ? drive->ops->write(drive, offset, from, n, flags) : EPERM;
}

int drive_zero(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags)
{
	assert(offset <= drive->size_bytes && n <= drive->size_bytes - offset);
	return drive->writable ? drive->ops->zero(drive, offset, n, flags) : EPERM;
}

int drive_trim(struct drive *drive, uint64_t offset, uint64_t n)
{
	assert(offset <= drive->size_bytes && n <= drive->size_bytes - offset);
	return drive->writable ? drive->ops->trim(drive, offset, n) : EPERM;
}

int drive_flush(struct drive *drive)
{
	return drive->writable ? drive->ops->flush(drive) : 0;
}

bool drive_is_writable(const struct drive *drive)
{
	return drive->writable;
}

void drive_expect(struct drive *drive, uint64_t offset, uint64_t n, bool *cold)
{
	*cold = false;
	if (drive->ops->expect != NULL)
		drive->ops->expect(drive, offset, n, cold);
}

void drive_forget(struct drive *drive, uint64_t offset, uint64_t n)
{
	if (drive->ops->forget != NULL)
		drive->ops->forget(drive, offset, n);
}

bool drive_was_changed(struct drive *drive)
{
	return drive->ops->changed(drive);
}
