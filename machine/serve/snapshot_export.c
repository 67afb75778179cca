/*
 * What clients of a snapshot are told: what is in the scratch file, and else what the server reads.
 */
#include "machine/serve/snapshot_parts.h"

#include "base/socket.h"
#include "base/watcher.h"
#include "machine/message.h"
#include "machine/serve/listen.h"
#include "nbd/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- questions ---- */

/* With the lock of *asking held. */
static int exchange(const struct snapshot_asking *asking, struct json_t *request,
		    struct json_t **told, struct error *err)
{
	struct json_t *reply;
	int got;

	TRY(message_send(asking->channel, request, -1, err));
	got = message_receive(asking->channel, &reply, NULL, err);
	if (got <= 0)
		return got < 0 ? got : fail(err, ERR_SYSTEM, "the server has gone");
	*told = json_share(json_member(reply, "return"));
	if (*told == NULL)
		message_error(reply, err);
	json_free(reply);
	return *told == NULL ? err->code : 0;
}

static struct json_t *question(const char *what, const struct snapshot_drive *shown,
			       uint64_t cluster)
{
	struct json_t *request = json_make("{s:s}", "execute", what);

	json_put_number(request, "drive", shown->number);
	json_put_number(request, "cluster", cluster);
	return request;
}

static struct snapshot_asking *begin_asking(struct snapshot *snapshot)
{
	unsigned i = atomic_fetch_add(&snapshot->turn, 1) % (SNAPSHOT_CHANNELS - 1);

	pthread_mutex_lock(&snapshot->asking[i].lock);
	return &snapshot->asking[i];
}

/* 1: the bytes; 0: it is saved, and comes. */
static int peek(const struct snapshot_drive *shown, uint64_t cluster, uint8_t *to,
		struct error *err)
{
	struct snapshot_asking *asking = begin_asking(shown->snapshot);
	struct json_t *told = NULL;
	int code = exchange(asking, question("peek", shown, cluster), &told, err);
	bool saved = json_member_bool(told, "saved"), zeros = json_member_bool(told, "zeros");

	if (code == 0 && !saved && !zeros &&
	    socket_receive(asking->channel, to, CLUSTER_SIZE, NULL) != CLUSTER_SIZE)
		code = message_unexpected(err);
	pthread_mutex_unlock(&asking->lock);
	json_free(told);
	if (zeros)
		memset(to, 0, CLUSTER_SIZE);
	return code < 0 ? code : !saved;
}

/* ---- NBD ---- */

static int read_cluster(const struct snapshot_drive *shown, uint64_t cluster, uint8_t *to)
{
	struct error err;
	int got;

	if (!snapshot_is_saved(shown, cluster)) {
		got = peek(shown, cluster, to, &err);
		if (got < 0) {
			snapshot_lose(shown->snapshot, &err);
			return EIO;
		}
		/* The server's answer may be older than the snapshot's end. */
		if (got > 0)
			return snapshot_is_lost(shown->snapshot) ? EIO : 0;
		snapshot_await(shown, cluster);
	}
	return snapshot_is_lost(shown->snapshot) ? EIO : snapshot_read_saved(shown, cluster, to);
}

static int do_read(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	const struct snapshot_drive *shown = context;
	uint8_t *own, *out = to;
	int sys = 0;

	if (flags & NBDSERVER_NOW)
		return EAGAIN;
	own = malloc(CLUSTER_SIZE);
	if (own == NULL)
		return ENOMEM;
	while (n > 0 && sys == 0) {
		uint32_t within = (uint32_t)(offset % CLUSTER_SIZE);
		uint32_t part = (uint32_t)least(n, CLUSTER_SIZE - within);

		sys = read_cluster(shown, offset / CLUSTER_SIZE, own);
		if (sys == 0)
			memcpy(out, own + within, part);
		out += part;
		offset += part;
		n -= part;
	}
	free(own);
	return sys;
}

static uint64_t bytes_until(const struct snapshot_drive *shown, uint64_t offset,
			    uint64_t n_clusters)
{
	uint64_t end = (offset / CLUSTER_SIZE + n_clusters) * CLUSTER_SIZE;

	return least(end, shown->instant.size_bytes) - offset;
}

/* What is saved may be zeros, and is told as data. */
static int do_status(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	const struct snapshot_drive *shown = context;
	uint64_t cluster = offset / CLUSTER_SIZE, count = 1;
	struct json_t *told = NULL;
	struct snapshot_asking *asking;
	struct error err;
	int code;

	asking = begin_asking(shown->snapshot);
	code = exchange(asking, question("peek-zeros", shown, cluster), &told, &err);
	pthread_mutex_unlock(&asking->lock);
	*zero = !json_member_bool(told, "saved") && json_member_bool(told, "zeros");
	if (json_member_bool(told, "saved") || !json_member_number(told, "n", &count) || count == 0)
		count = 1;
	json_free(told);
	if (code < 0)
		snapshot_lose(shown->snapshot, &err);
	*n = bytes_until(shown, offset, least(count, clusters_of(shown->instant.size_bytes)));
	return code < 0 ? EIO : 0;
}

static const struct nbdserver_ops ops = {
	.read = do_read,
	.status = do_status,
	.bitmap = instant_bitmap,
	.find_bitmap = instant_find_bitmap,
	.bitmap_name = instant_bitmap_name,
};

int snapshot_serve(struct snapshot *snapshot, struct error *err)
{
	struct nbdserver_export exports[SERVED_MAX];
	uint32_t n = snapshot->drives.n_drives;

	for (uint32_t i = 0; i < n; i++)
		exports[i] = instant_export(&snapshot->shown[i].instant, &ops);
	return serve_listen(&snapshot->nbd, exports, n, snapshot->serve, snapshot->watcher, err);
}
