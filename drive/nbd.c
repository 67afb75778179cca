/*
 * Drives on NBD servers, named by URIs.
 */
#include "drive/backing.h"
#include "drive/kind.h"
#include "drive/guest_nbd.h"
#include "nbd/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if HAVE_LIBNBD

struct drive_nbd {
	struct drive drive;
	struct nbdclient *client;
	bool told; /* the user said that it is raw */
	atomic_int flush_failed;
};

/* Checked when they are read anyway: a server may be far away. */
static int check_ends(const struct drive *drive, uint64_t offset, const uint8_t *bytes, size_t n,
		      struct error *err)
{
	struct content content = {.n_head = 0};

	if (n < CONTENT_END_SIZE)
		return 0;
	if (offset == 0) {
		content.n_head = CONTENT_END_SIZE;
		memcpy(content.head, bytes, CONTENT_END_SIZE);
	}
	if (offset + n == drive->size_bytes) {
		content.n_tail = CONTENT_END_SIZE;
		memcpy(content.tail, bytes + n - CONTENT_END_SIZE, CONTENT_END_SIZE);
	}
	return content_check(&content, drive->path, "raw", CONTENT_NBD_SOURCE, err);
}

static struct nbdclient *client_of(struct drive *drive)
{
	return ((struct drive_nbd *)drive)->client;
}

static int read_nbd(struct drive *drive, uint64_t offset, void *buffer, size_t n, struct error *err)
{
	TRY(nbdclient_read(client_of(drive), offset, buffer, n, err));
	return ((struct drive_nbd *)drive)->told ? 0 : check_ends(drive, offset, buffer, n, err);
}

static int ask_nbd(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero, struct error *err)
{
	return nbdclient_status(client_of(drive), offset, n, zero, err);
}

static int write_nbd(struct drive *drive, uint64_t offset, const void *from, uint32_t n,
		     unsigned flags)
{
	return guest_nbd_write(client_of(drive), &((struct drive_nbd *)drive)->flush_failed, offset,
			       from, n, flags);
}

static int zero_nbd(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags)
{
	return guest_nbd_zero(client_of(drive), &((struct drive_nbd *)drive)->flush_failed, offset,
			      n, flags);
}

static int trim_nbd(struct drive *drive, uint64_t offset, uint64_t n)
{
	return zero_nbd(drive, offset, n, DRIVE_MAY_TRIM);
}

static int flush_nbd(struct drive *drive)
{
	return guest_nbd_flush(client_of(drive), &((struct drive_nbd *)drive)->flush_failed);
}

/* The protocol does not report it. */
static bool was_changed(struct drive *drive)
{
	(void)drive;
	return false;
}

static void close_nbd(struct drive *drive)
{
	nbdclient_free(client_of(drive));
	free(drive);
}

static const struct drive_ops ops = {
	.read = read_nbd,
	.status = ask_nbd,
	.write = write_nbd,
	.zero = zero_nbd,
	.trim = trim_nbd,
	.flush = flush_nbd,
	.changed = was_changed,
	.close = close_nbd,
};

int drive_nbd_open(struct drive **out, const char *uri, const struct drive_options *options,
		   struct error *err)
{
	struct drive_nbd *nbd = calloc(1, sizeof(*nbd));

	if (nbd == NULL)
		return fail_memory(err);
	int code = nbdclient_connect_held(&nbd->client, uri, options->hold, err);
	if (code == 0 && options->snapshot)
		code = nbdclient_read_whole(nbd->client, err);
	if (code == 0 && options->writable)
		code = nbdclient_check_writable(nbd->client, true, err);
	if (code == 0 && options->beside && !nbdclient_is_coherent(nbd->client))
		code = fail(err, ERR_USAGE,
			    "%s: the server does not announce that two clients can write at once "
			    "(multi-conn); one such as qemu-nbd -e 2 does",
			    uri);
	if (code != 0) {
		nbdclient_free(nbd->client);
		free(nbd);
		return code;
	}
	/* What a guest writes may look like anything. */
	nbd->told = options->format != NULL || options->writable;
	nbd->drive.writable = options->writable;
	nbd->drive.ops = &ops;
	nbd->drive.size_bytes = nbdclient_size(nbd->client);
	*out = &nbd->drive;
	return 0;
}

#else

int drive_nbd_open(struct drive **out, const char *uri, const struct drive_options *options,
		   struct error *err)
{
	(void)out;
	(void)options;
	return fail(err, ERR_USAGE,
		    "%s: NBD needs libnbd, and this program was built without it: install "
		    "libnbd-dev and build again",
		    uri);
}

#endif
