/*
 * A backup whose client reads what it likes. A thread takes what guests overwrite out of the
 * server's buffer and puts it where it lies in its drive into the scratch file; a bit says that it
 * is there. A cluster without that bit is asked of the server, which reads it from the drive unless
 * it is saved: then it is on its way here, and is waited for.
 *
 * When the server has gone, or could not save something, every read fails from then on: no reader
 * gets data of another instant.
 */
#include "machine/serve/snapshot.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/socket.h"
#include "base/stop.h"
#include "base/unnamed.h"
#include "base/watcher.h"
#include "machine/kinds.h"
#include "machine/message.h"
#include "machine/serve/client_state.h"
#include "nbd/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHANNELS 5u    /* one for what guests overwrite, the others to ask */
#define STEP_MS	 200   /* between looks for a signal */
#define GRACE_MS 1000u /* for clients to take their last replies */

struct shown {
	struct snapshot *snapshot;
	const struct machine_drive *drive;
	uint32_t number;
	uint64_t base;		    /* in the scratch file */
	_Atomic uint64_t *saved;    /* owned; a bit a cluster: it is in the scratch file */
	struct cluster_set changed; /* since the checkpoint, by the instant */
};

struct asking {
	pthread_mutex_t lock; /* one question at a time */
	int channel;
};

struct snapshot {
	const struct snapshot_options *options;
	const struct watcher *watcher;
	struct machine_options machine;
	struct machine *client;
	struct machine_description drives;
	struct shown *shown; /* owned; of each drive */
	int scratch;	     /* -1: none */
	struct asking asking[CHANNELS - 1];
	atomic_uint turn;
	struct nbdserver *nbd;
	pthread_t taker;
	bool taking;

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t came;  /* something is in the scratch file, or all is lost */
	bool lost;
	struct error why;
};

/* ---- what guests overwrite ---- */

static void lose(struct snapshot *snapshot, const struct error *why)
{
	pthread_mutex_lock(&snapshot->lock);
	if (!snapshot->lost)
		snapshot->why = *why;
	snapshot->lost = true;
	pthread_cond_broadcast(&snapshot->came);
	pthread_mutex_unlock(&snapshot->lock);
}

static int put_cluster(struct snapshot *snapshot, const struct chunk_cluster *at,
		       const uint8_t *bytes, struct error *err)
{
	struct shown *shown = &snapshot->shown[at->drive];
	uint64_t place = shown->base + at->cluster * CLUSTER_SIZE;
	size_t done = 0;

	while (done < CLUSTER_SIZE) {
		ssize_t n = pwrite(snapshot->scratch, bytes + done, CLUSTER_SIZE - done,
				   (off_t)(place + done));

		if (n < 0 && errno != EINTR)
			return fail_system(err, errno, "the scratch file");
		done += n > 0 ? (size_t)n : 0;
	}
	bits_set_atomic(shown->saved, at->cluster, at->cluster + 1);
	return 0;
}

/* The scratch file has zeros where nothing was written, and each cluster comes once. */
static int put_chunk(struct snapshot *snapshot, const struct chunk *chunk, struct error *err)
{
	int code = 0;

	for (uint32_t i = 0; i < chunk->n_clusters && code == 0; i++)
		code = put_cluster(snapshot, &chunk->clusters[i],
				   chunk->bytes + (size_t)i * CLUSTER_SIZE, err);
	for (uint32_t i = 0; i < chunk->n_zeros; i++) {
		const struct chunk_zeros *zeros = &chunk->zeros[i];

		bits_set_atomic(snapshot->shown[zeros->drive].saved, zeros->cluster,
				zeros->cluster + zeros->n_clusters);
	}
	return code;
}

static void *take(void *context)
{
	struct snapshot *snapshot = context;
	const struct chunk_source *source;
	struct chunk_piece piece = {0};
	struct error err = {0};
	int got, code = 0;

	machine_serve.chunks(snapshot->client, CHUNK_CLUSTERS, &source, &err);
	while (code == 0 && (got = source->next(source->context, &piece, &err)) != 0) {
		code = got < 0 ? got : put_chunk(snapshot, piece.chunk, &err);
		if (got > 0)
			source->give_back(source->context, piece.loan);
		pthread_mutex_lock(&snapshot->lock);
		pthread_cond_broadcast(&snapshot->came);
		pthread_mutex_unlock(&snapshot->lock);
	}
	if (code < 0)
		lose(snapshot, &err);
	return NULL;
}

static bool is_saved(const struct shown *shown, uint64_t cluster)
{
	return bits_find_atomic(shown->saved, cluster, cluster + 1, true) == cluster;
}

static bool is_lost(struct snapshot *snapshot)
{
	bool lost;

	pthread_mutex_lock(&snapshot->lock);
	lost = snapshot->lost;
	pthread_mutex_unlock(&snapshot->lock);
	return lost;
}

/* ---- questions ---- */

/* With the lock of *asking held. */
static int exchange(const struct asking *asking, struct json_t *request, struct json_t **told,
		    struct error *err)
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

static struct json_t *question(const char *what, const struct shown *shown, uint64_t cluster)
{
	struct json_t *request = json_make("{s:s}", "execute", what);

	json_put_number(request, "drive", shown->number);
	json_put_number(request, "cluster", cluster);
	return request;
}

static struct asking *begin_asking(struct snapshot *snapshot)
{
	unsigned i = atomic_fetch_add(&snapshot->turn, 1) % (CHANNELS - 1);

	pthread_mutex_lock(&snapshot->asking[i].lock);
	return &snapshot->asking[i];
}

/* 1: the bytes; 0: it is saved, and comes. */
static int peek(const struct shown *shown, uint64_t cluster, uint8_t *to, struct error *err)
{
	struct asking *asking = begin_asking(shown->snapshot);
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

static void await(const struct shown *shown, uint64_t cluster)
{
	struct snapshot *snapshot = shown->snapshot;

	pthread_mutex_lock(&snapshot->lock);
	while (!snapshot->lost && !is_saved(shown, cluster))
		pthread_cond_wait(&snapshot->came, &snapshot->lock);
	pthread_mutex_unlock(&snapshot->lock);
}

/* ---- NBD ---- */

static int read_scratch(const struct shown *shown, uint64_t cluster, uint8_t *to)
{
	size_t done = 0;

	while (done < CLUSTER_SIZE) {
		ssize_t n = pread(shown->snapshot->scratch, to + done, CLUSTER_SIZE - done,
				  (off_t)(shown->base + cluster * CLUSTER_SIZE + done));

		if (n <= 0 && (n == 0 || errno != EINTR))
			return n == 0 ? EIO : errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int read_cluster(const struct shown *shown, uint64_t cluster, uint8_t *to)
{
	struct error err;
	int got;

	if (!is_saved(shown, cluster)) {
		got = peek(shown, cluster, to, &err);
		if (got < 0) {
			lose(shown->snapshot, &err);
			return EIO;
		}
		/* The server's answer may be older than the snapshot's end. */
		if (got > 0)
			return is_lost(shown->snapshot) ? EIO : 0;
		await(shown, cluster);
	}
	return is_lost(shown->snapshot) ? EIO : read_scratch(shown, cluster, to);
}

static int do_read(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	const struct shown *shown = context;
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

static uint64_t bytes_until(const struct shown *shown, uint64_t offset, uint64_t n_clusters)
{
	uint64_t end = (offset / CLUSTER_SIZE + n_clusters) * CLUSTER_SIZE;

	return least(end, shown->drive->size_bytes) - offset;
}

/* What is saved may be zeros, and is told as data. */
static int do_status(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	const struct shown *shown = context;
	uint64_t cluster = offset / CLUSTER_SIZE, count = 1;
	struct json_t *told = NULL;
	struct asking *asking;
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
		lose(shown->snapshot, &err);
	*n = bytes_until(shown, offset, least(count, clusters_of(shown->drive->size_bytes)));
	return code < 0 ? EIO : 0;
}

static int do_bitmap(void *context, unsigned which, uint64_t offset, uint64_t *n, bool *set)
{
	const struct shown *shown = context;
	uint64_t cluster = offset / CLUSTER_SIZE;

	(void)which;
	*n = bytes_until(shown, offset,
			 cluster_set_run(&shown->changed, cluster,
					 clusters_of(shown->drive->size_bytes) - cluster, set));
	return 0;
}

static int find_bitmap(void *context, const char *name)
{
	const struct shown *shown = context;
	const char *since = shown->snapshot->options->since;

	return since != NULL && strcmp(name, since) == 0 ? 0 : -1;
}

static bool bitmap_name(void *context, unsigned i, char out[256])
{
	const struct shown *shown = context;
	const char *since = shown->snapshot->options->since;

	if (since == NULL || i > 0)
		return false;
	snprintf(out, 256, "%s", since);
	return true;
}

static const struct nbdserver_ops ops = {
	.read = do_read,
	.status = do_status,
	.bitmap = do_bitmap,
	.find_bitmap = find_bitmap,
	.bitmap_name = bitmap_name,
};

static void log_line(void *context, const char *text)
{
	watcher_detail(context, "nbd: %s", text);
}

static int serve(struct snapshot *snapshot, struct error *err)
{
	const struct serve_options *options = &snapshot->options->serve;
	struct nbdserver_export exports[SERVED_MAX];
	struct nbdserver_tls tls = {options->tls_certificates, options->tls_psk,
				    options->tls_verify_peer};
	struct nbdserver_options how = {
		.tls = tls.certificates != NULL || tls.psk != NULL ? &tls : NULL,
		.log = log_line,
		.log_context = (void *)(uintptr_t)snapshot->watcher,
	};

	for (uint32_t i = 0; i < snapshot->drives.n_drives; i++)
		exports[i] = (struct nbdserver_export){
			.name = snapshot->shown[i].drive->name,
			.size_bytes = snapshot->shown[i].drive->size_bytes,
			.read_only = true,
			.multi_conn = true,
			.block_preferred = CLUSTER_SIZE,
			.ops = &ops,
			.context = &snapshot->shown[i],
		};
	TRY(nbdserver_new(&snapshot->nbd, exports, snapshot->drives.n_drives, &how, err));
	for (unsigned i = 0; i < options->nbd.n; i++)
		TRY(nbdserver_listen(snapshot->nbd, options->nbd.items[i], options->plain_loopback,
				     err));
	return 0;
}

/* ---- the beginning ---- */

static int ask_changed(struct snapshot *snapshot, const struct call *call, struct shown *shown,
		       struct cluster_set *set, struct error *err)
{
	uint64_t at = 0, n_clusters = clusters_of(shown->drive->size_bytes);

	while (at < n_clusters) {
		struct json_t *reply, *request = json_make("{s:s}", "execute", "changed");
		int code;

		json_put_number(request, "drive", shown->number);
		json_put_text(request, "name", snapshot->options->since);
		json_put_number(request, "from", at);
		TRY(call_request(call, request, &reply, NULL, err));
		code = client_add_runs(reply, &at, n_clusters, set, err);
		json_free(reply);
		TRY(code);
	}
	return 0;
}

/* Before the instant it is only found out whether the checkpoint is there; after it, a guest may
 * have added something already, which does no harm. */
static int ask_all(struct snapshot *snapshot, bool before, struct error *err)
{
	struct machine *client = snapshot->client;
	const struct call call = {before ? client->call.fd : client->channels[1],
				  client->call.path};

	for (uint32_t i = 0; i < snapshot->drives.n_drives; i++) {
		struct shown *shown = &snapshot->shown[i];
		int code;

		if (snapshot->options->since == NULL)
			return 0;
		code = ask_changed(snapshot, &call, shown, &shown->changed, err);
		if (before)
			cluster_set_free(&shown->changed);
		TRY(code);
	}
	return 0;
}

static int show_drives(struct snapshot *snapshot, struct error *err)
{
	uint64_t base = 0;

	machine_serve.describe(snapshot->client, &snapshot->drives);
	snapshot->shown = calloc(snapshot->drives.n_drives, sizeof(*snapshot->shown));
	if (snapshot->shown == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < snapshot->drives.n_drives; i++) {
		struct shown *shown = &snapshot->shown[i];
		uint64_t n_clusters = clusters_of(snapshot->drives.drives[i].size_bytes);

		*shown = (struct shown){snapshot,
					&snapshot->drives.drives[i],
					i,
					base,
					calloc(bits_words(n_clusters) + 1, sizeof(*shown->saved)),
					{0}};
		if (shown->saved == NULL)
			return fail_memory(err);
		base += n_clusters * CLUSTER_SIZE;
	}
	if (base > INT64_MAX || ftruncate(snapshot->scratch, (off_t)base) < 0)
		return fail_system(err, base > INT64_MAX ? EFBIG : errno, "the scratch file");
	return 0;
}

static int start(struct snapshot *snapshot, struct error *err)
{
	const char *folder = snapshot->options->machine.scratch;
	const struct machine_since nothing = {0};
	int sys;

	if (folder == NULL)
		folder = unnamed_folder();
	snapshot->scratch = unnamed_open(folder);
	if (snapshot->scratch < 0)
		return fail_system(err, errno, "--scratch %s", folder);
	TRY(machine_serve.open(&snapshot->client, &snapshot->machine, snapshot->watcher, err));
	snapshot->client->snapshot = true;
	TRY(show_drives(snapshot, err));
	TRY(ask_all(snapshot, true, err));
	TRY(machine_serve.begin(snapshot->client, &nothing, err));
	sys = pthread_create(&snapshot->taker, NULL, take, snapshot);
	snapshot->taking = sys == 0;
	if (sys != 0)
		return fail_start(err, sys, "cannot start a thread");
	for (unsigned i = 0; i < CHANNELS - 1; i++)
		snapshot->asking[i].channel = snapshot->client->channels[i + 1];
	TRY(ask_all(snapshot, false, err));
	return serve(snapshot, err);
}

/* ---- the whole ---- */

static enum stop_next end_by_signal(void)
{
	return STOP_ENDS;
}

int snapshot_open(struct snapshot **out, const struct snapshot_options *options,
		  const struct watcher *watcher, struct error *err)
{
	struct snapshot *snapshot;

	if (options->serve.nbd.n == 0)
		return fail(err, ERR_USAGE,
			    "--nbd is needed: unix:PATH, or HOST:PORT, where drives are served");
	if (options->serve.tls_verify_peer && options->serve.tls_certificates == NULL)
		return fail(err, ERR_USAGE, "--tls-verify-peer: only with --tls-certificates");
	snapshot = calloc(1, sizeof(*snapshot));
	if (snapshot == NULL)
		return fail_memory(err);
	snapshot->options = options;
	snapshot->watcher = watcher;
	snapshot->machine = options->machine;
	snapshot->machine.threads = CHANNELS;
	snapshot->scratch = -1;
	pthread_mutex_init(&snapshot->lock, NULL);
	clock_cond_init(&snapshot->came);
	for (unsigned i = 0; i < CHANNELS - 1; i++)
		pthread_mutex_init(&snapshot->asking[i].lock, NULL);
	stop_handle(end_by_signal);
	if (start(snapshot, err) < 0) {
		snapshot_close(snapshot);
		return err->code;
	}
	*out = snapshot;
	return 0;
}

/* The server has gone, or said why it could not save something. */
static void hear(struct snapshot *snapshot)
{
	struct machine *client = snapshot->client;
	struct error why = {0};

	pthread_mutex_lock(&client->lock);
	if (client->failed)
		why = client->err;
	pthread_mutex_unlock(&client->lock);
	if (why.code != 0)
		lose(snapshot, &why);
}

int snapshot_wait(struct snapshot *snapshot, struct error *err)
{
	int code = 0;

	while (!is_lost(snapshot) && stop_signal() == 0) {
		clock_sleep_ms(STEP_MS);
		hear(snapshot);
	}
	pthread_mutex_lock(&snapshot->lock);
	if (snapshot->lost) {
		*err = snapshot->why;
		code = err->code;
	}
	pthread_mutex_unlock(&snapshot->lock);
	return code;
}

void snapshot_close(struct snapshot *snapshot)
{
	const struct error closing = {.code = ERR_SYSTEM};

	if (snapshot == NULL)
		return;
	lose(snapshot, &closing);
	if (snapshot->client != NULL)
		client_cut(snapshot->client);
	if (snapshot->nbd != NULL)
		nbdserver_stop(snapshot->nbd, GRACE_MS);
	nbdserver_free(snapshot->nbd);
	if (snapshot->taking)
		pthread_join(snapshot->taker, NULL);
	machine_serve.end(snapshot->client);
	for (uint32_t i = 0; snapshot->shown != NULL && i < snapshot->drives.n_drives; i++) {
		free((void *)snapshot->shown[i].saved);
		cluster_set_free(&snapshot->shown[i].changed);
	}
	free(snapshot->shown);
	if (snapshot->scratch >= 0)
		close(snapshot->scratch);
	pthread_mutex_destroy(&snapshot->lock);
	pthread_cond_destroy(&snapshot->came);
	for (unsigned i = 0; i < CHANNELS - 1; i++)
		pthread_mutex_destroy(&snapshot->asking[i].lock);
	stop_handle(NULL);
	free(snapshot);
}
