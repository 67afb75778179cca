#include "machine/gate.h"

#include "base/clock.h"
#include "drive/drive.h"
#include "machine/rundir.h"
#include "nbd/client.h"

#include <stdlib.h>

#define SHUT_MS	  25000 /* longer than connecting takes before it is given up (nbd/client.h) */
#define SETTLE_MS 5000

void gate_init(struct gate *gate)
{
	*gate = (struct gate){.mutex = PTHREAD_MUTEX_INITIALIZER};
	clock_cond_init(&gate->passed);
}

static int open_uri(struct drive **out, const char *socket, const char *export, struct error *err)
{
	const struct drive_options how = {.format = "raw", .snapshot = true};
	char *uri = rundir_uri(socket, export);
	int code = uri == NULL ? fail_memory(err) : drive_open(out, uri, &how, err);

	free(uri);
	return code;
}

int gate_open(struct gate *gate, struct drive **out, const char *socket, const char *export,
	      struct error *err)
{
	bool may;
	int code;

	pthread_mutex_lock(&gate->mutex);
	may = gate->busy = !gate->shut;
	pthread_mutex_unlock(&gate->mutex);
	if (!may)
		return fail(err, ERR_SYSTEM, "the backup has been ended");
	code = open_uri(out, socket, export, err);
	pthread_mutex_lock(&gate->mutex);
	gate->busy = false;
	pthread_cond_signal(&gate->passed);
	pthread_mutex_unlock(&gate->mutex);
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
