/*
 * Exports of an NBD server, named by a URI.
 */
#include "drive/target_parts.h"

#include "nbd/client.h"

#if HAVE_LIBNBD

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
