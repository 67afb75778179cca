#include "machine/gate.h"

#include "base/clock.h"
#include "base/grain.h"
#include "drive/drive.h"
#include "machine/guard.h"
#include "machine/rundir.h"

#include <limits.h>
#include <stdlib.h>

#define PLACES	  8u	/* drives that are connected, by NBDCLIENT_CONNECTIONS_MAX each */
#define HELD	  64u	/* connections for drives at a time, if they are held */
#define SHUT_MS	  25000 /* longer than connecting takes before it is given up (nbd/client.h) */
#define SETTLE_MS 5000

/* A client may connect. */
static int enter(struct gate *gate, struct error *err)
{
	bool may;

	pthread_mutex_lock(&gate->mutex);
	may = gate->busy = !gate->shut;
	pthread_mutex_unlock(&gate->mutex);
	return may ? 0 : fail(err, ERR_SYSTEM, "the backup has been ended");
}

static void leave(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	gate->busy = false;
	pthread_cond_signal(&gate->passed);
	pthread_mutex_unlock(&gate->mutex);
}

static const struct nbdclient_hold *held(const struct gate *gate)
{
	return gate->hold.keep != NULL ? &gate->hold : NULL;
}

static int pass(void *context, const char *uri, struct drive **out, struct error *err)
{
	struct gate *gate = context;
	const struct drive_options how = {.format = "raw", .snapshot = true, .hold = held(gate)};
	int code;

	TRY(enter(gate, err));
	code = drive_open(out, uri, &how, err);
	leave(gate);
	return code;
}

void gate_init(struct gate *gate)
{
	*gate = (struct gate){
		.turns = {.n_places = PLACES, .open = pass, .context = gate},
		.mutex = PTHREAD_MUTEX_INITIALIZER,
	};
	turns_init(&gate->turns);
	clock_cond_init(&gate->passed);
}

static int keep(void *context, int fd, struct error *err)
{
	return guard_hold(context, fd, err);
}

void gate_hold(struct gate *gate, struct guard *guard, unsigned n_drives)
{
	gate->hold = (struct nbdclient_hold){
		.keep = keep,
		.context = guard,
		.n_each = n_drives < HELD ? HELD / n_drives : 1,
	};
	gate->turns.n_places = UINT_MAX;
}

int gate_drive(struct gate *gate, struct drive **out, const char *socket, const char *export,
	       uint64_t size_bytes, struct error *err)
{
	char *uri = rundir_uri(socket, export);
	int code =
		uri == NULL ? fail_memory(err) : turns_add(&gate->turns, out, uri, size_bytes, err);

	free(uri);
	return code;
}

static int read_bitmap(struct nbdclient *client, struct cluster_set *out, struct error *err)
{
	uint64_t n, size = nbdclient_size(client);
	bool set;

	for (uint64_t at = 0; at < size; at += n) {
		uint64_t first = at / CLUSTER_SIZE;

		TRY(nbdclient_status(client, at, &n, &set, err));
		n = least(n, size - at);
		if (set)
			TRY(cluster_set_include(out, first, (at + n - 1) / CLUSTER_SIZE - first + 1,
						err));
	}
	return 0;
}

static int ask(struct gate *gate, const char *uri, const char *context, struct cluster_set *out,
	       struct error *err)
{
	struct nbdclient *client;
	int code;

	TRY(enter(gate, err));
	code = nbdclient_connect_bitmap(&client, uri, context, held(gate), err);
	leave(gate);
	TRY(code);
	code = read_bitmap(client, out, err);
	nbdclient_free(client);
	return code;
}

int gate_changes(struct gate *gate, const char *socket, const char *export, const char *bitmap,
		 struct cluster_set *out, struct error *err)
{
	char *uri = rundir_uri(socket, export),
	     *context = text_make("qemu:dirty-bitmap:%s", bitmap);
	int code = uri == NULL || context == NULL ? fail_memory(err)
						  : ask(gate, uri, context, out, err);

	free(uri);
	free(context);
	return code;
}

void gate_shut(struct gate *gate)
{
	int64_t until = clock_ms() + SHUT_MS;

	pthread_mutex_lock(&gate->mutex);
	gate->shut = true;
	while (gate->busy && clock_cond_wait(&gate->passed, &gate->mutex, until) == 0)
		;
	pthread_mutex_unlock(&gate->mutex);
}

void gate_settle(const char *socket)
{
	char *uri = rundir_uri(socket, "");

	if (uri != NULL)
		nbdclient_knock(uri, SETTLE_MS);
	free(uri);
}
