#include "machine/gate.h"

#include "base/clock.h"
#include "drive/drive.h"
#include "machine/rundir.h"
#include "nbd/client.h"

#include <stdlib.h>

#define PLACES	  8u	/* drives that are connected, by NBDCLIENT_CONNECTIONS_MAX each */
#define SHUT_MS	  25000 /* longer than connecting takes before it is given up (nbd/client.h) */
#define SETTLE_MS 5000

static int pass(void *context, const char *uri, struct drive **out, struct error *err)
{
	const struct drive_options how = {.format = "raw", .snapshot = true};
	struct gate *gate = context;
	bool may;
	int code;

	pthread_mutex_lock(&gate->mutex);
	may = gate->busy = !gate->shut;
	pthread_mutex_unlock(&gate->mutex);
	if (!may)
		return fail(err, ERR_SYSTEM, "the backup has been ended");
	code = drive_open(out, uri, &how, err);
	pthread_mutex_lock(&gate->mutex);
	gate->busy = false;
	pthread_cond_signal(&gate->passed);
	pthread_mutex_unlock(&gate->mutex);
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

int gate_drive(struct gate *gate, struct drive **out, const char *socket, const char *export,
	       uint64_t size_bytes, struct error *err)
{
	char *uri = rundir_uri(socket, export);
	int code =
		uri == NULL ? fail_memory(err) : turns_add(&gate->turns, out, uri, size_bytes, err);

	free(uri);
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
