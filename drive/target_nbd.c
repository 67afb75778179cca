/*
 * Exports of an NBD server, named by a URI.
 */
#include "drive/target_parts.h"

#include "base/bytes.h"
#include "nbd/client.h"

#include <errno.h>
#include <stdlib.h>

#if HAVE_LIBNBD

#define LOOK_BYTES ((uint64_t)64 * CLUSTER_SIZE) /* read per call */

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

/* ---- what is there ---- */

static int server_read(const struct target *target, uint64_t offset, void *bytes, size_t n)
{
	const struct server *server = (const struct server *)target;
	struct error err = {0};

	if (nbdclient_read(server->client, offset, bytes, n, &err) == 0)
		return 0;
	return err.sys != 0 ? err.sys : EIO;
}

static void server_keep(struct target *target, uint64_t offset, uint64_t n)
{
	rest_mark_bytes(((struct server *)target)->rest, offset, n);
}

/* ---- zeros ---- */

static int put_zeros(struct server *server, uint64_t offset, uint64_t n, struct error *err)
{
	server->target.written_bytes += server->target.rollback ? n : 0;
	return nbdclient_zero(server->client, offset, n, err);
}

/* Clusters that the server does not know to be zeros, where they are none. */
static int zero_others(struct server *server, uint64_t offset, uint64_t end, uint8_t *there,
		       struct error *err)
{
	for (uint64_t n, part; offset < end; offset += n) {
		bool zero;

		TRY(nbdclient_status(server->client, offset, &n, &zero, err));
		n = zero ? least(n, end - offset) : least(LOOK_BYTES, end - offset);
		if (zero)
			continue;
		TRY(nbdclient_read(server->client, offset, there, n, err));
		for (uint64_t at = 0; at < n; at += part) {
			part = least(CLUSTER_SIZE, n - at);
			if (!all_zero(there + at, part))
				TRY(put_zeros(server, offset + at, part, err));
		}
	}
	return 0;
}

static int zero_range(struct server *server, uint64_t offset, uint64_t end, uint8_t *there,
		      struct error *err)
{
	return there == NULL ? put_zeros(server, offset, end - offset, err)
			     : zero_others(server, offset, end, there, err);
}

/* It may be a thin volume: see target_device.c. there: NULL, or room to look before. */
static int zero_rest(struct server *server, uint8_t *there, struct error *err)
{
	uint64_t cluster = 0, n, size = server->target.size_bytes, all = rest_end(server->rest);

	while (rest_next(server->rest, &cluster, &n, UINT64_MAX)) {
		uint64_t offset = cluster * CLUSTER_SIZE, end = offset + n * CLUSTER_SIZE;
		if (offset < size)
			TRY(zero_range(server, offset, least(end, size), there, err));
		cluster += n;
	}
	return all > size ? zero_range(server, size, all, there, err) : 0;
}

static int server_finish(struct target *target, struct error *err)
{
	struct server *server = (struct server *)target;

	uint8_t *there = target->rollback ? malloc(LOOK_BYTES) : NULL;
	int code = target->rollback && there == NULL ? fail_memory(err)
						     : zero_rest(server, there, err);

	free(there);
	if (code == 0 && target->sync)
		code = nbdclient_flush(server->client, err);
	return code;
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
	TRY(nbdclient_check_writable(server->client, false, err));
	if (target->sync && nbdclient_check_writable(server->client, true, err) != 0) {
		error_append(err, "; --no-sync writes to it all the same");
		return err->code;
	}
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
	.read = server_read,
	.keep = server_keep,
	.close = server_close,
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

#define NONE                                                                           \
	{                                                                              \
		.size = sizeof(struct target), .open = open_none, .close = close_none, \
	}
const struct target_kind target_server = NONE, target_image = NONE;

#endif
