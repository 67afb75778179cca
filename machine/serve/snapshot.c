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
#include "base/stop.h"
#include "base/unnamed.h"
#include "machine/kinds.h"
#include "machine/serve/snapshot_parts.h"
#include "nbd/server.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define STEP_MS	 200   /* between looks for a signal */
#define GRACE_MS 1000u /* for clients to take their last replies */

/* ---- the beginning ---- */

static int ask_changed(struct snapshot *snapshot, const struct call *call,
		       struct snapshot_drive *shown, struct cluster_set *set, struct error *err)
{
	uint64_t at = 0, n_clusters = clusters_of(shown->instant.size_bytes);

	while (at < n_clusters) {
		struct json_t *reply, *request = json_make("{s:s}", "execute", "changed");
		int code;

		json_put_number(request, "drive", shown->number);
		json_put_text(request, "name", snapshot->since);
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
		struct snapshot_drive *shown = &snapshot->shown[i];
		int code;

		if (snapshot->since == NULL)
			return 0;
		code = ask_changed(snapshot, &call, shown, &shown->instant.changed, err);
		if (before)
			cluster_set_free(&shown->instant.changed);
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
		struct snapshot_drive *shown = &snapshot->shown[i];
		const struct machine_drive *drive = &snapshot->drives.drives[i];
		uint64_t n_clusters = clusters_of(drive->size_bytes);

		*shown = (struct snapshot_drive){
			{drive->name, snapshot->since, drive->size_bytes, {0}},
			snapshot,
			i,
			base,
			calloc(bits_words(n_clusters) + 1, sizeof(*shown->saved)),
		};
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
	const char *folder = snapshot->machine.scratch;
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
	sys = pthread_create(&snapshot->taker, NULL, snapshot_take, snapshot);
	snapshot->taking = sys == 0;
	if (sys != 0)
		return fail_start(err, sys, "cannot start a thread");
	for (unsigned i = 0; i < SNAPSHOT_CHANNELS - 1; i++)
		snapshot->asking[i].channel = snapshot->client->channels[i + 1];
	TRY(ask_all(snapshot, false, err));
	return snapshot_serve(snapshot, err);
}

/* ---- the whole ---- */

static enum stop_next end_by_signal(void)
{
	return STOP_ENDS;
}

int snapshot_check(const struct snapshot_options *options, struct error *err)
{
	if (options->serve.nbd.n == 0)
		return fail(err, ERR_USAGE,
			    "--nbd is needed: unix:PATH, or HOST:PORT, where drives are served");
	if (options->serve.tls_verify_peer && options->serve.tls_certificates == NULL)
		return fail(err, ERR_USAGE, "--tls-verify-peer: only with --tls-certificates");
	return 0;
}

int snapshot_open(struct snapshot **out, const struct snapshot_options *options,
		  const struct watcher *watcher, struct error *err)
{
	struct snapshot *snapshot;

	TRY(snapshot_check(options, err));
	snapshot = calloc(1, sizeof(*snapshot));
	if (snapshot == NULL)
		return fail_memory(err);
	snapshot->serve = &options->serve;
	snapshot->since = options->machine.since;
	snapshot->watcher = watcher;
	snapshot->machine = options->machine;
	snapshot->machine.threads = SNAPSHOT_CHANNELS;
	snapshot->scratch = -1;
	pthread_mutex_init(&snapshot->lock, NULL);
	clock_cond_init(&snapshot->came);
	for (unsigned i = 0; i < SNAPSHOT_CHANNELS - 1; i++)
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
		snapshot_lose(snapshot, &why);
}

int snapshot_wait(struct snapshot *snapshot, struct error *err)
{
	int code = 0;

	while (!snapshot_is_lost(snapshot) && stop_signal() == 0) {
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
	snapshot_lose(snapshot, &closing);
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
		cluster_set_free(&snapshot->shown[i].instant.changed);
	}
	free(snapshot->shown);
	if (snapshot->scratch >= 0)
		close(snapshot->scratch);
	pthread_mutex_destroy(&snapshot->lock);
	pthread_cond_destroy(&snapshot->came);
	for (unsigned i = 0; i < SNAPSHOT_CHANNELS - 1; i++)
		pthread_mutex_destroy(&snapshot->asking[i].lock);
	stop_handle(NULL);
	free(snapshot);
}
