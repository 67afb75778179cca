#include "machine/gate.h"

#include "nbd/client.h"
#include "machine/rundir.h"
#include "drive/drive.h"

#include <stdlib.h>
#include <time.h>

#define END_S	  25 /* longer than connecting takes before it is given up (nbd/client.h) */
#define SETTLE_MS 5000

int gate_open(struct gate *gate, struct drive **out, const char *uri,
		   struct error *err)
{
	const struct drive_options how = {.format = "raw", .snapshot = true};
	bool may;
	int result;

	pthread_mutex_lock(&gate->mutex);
	may = gate->now = !gate->last;
	pthread_mutex_unlock(&gate->mutex);
	if (!may)
		return fail(err, ERR_SYSTEM, "the backup has been ended");
	result = drive_open(out, uri, &how, err);
	pthread_mutex_lock(&gate->mutex);
	gate->now = false;
	pthread_cond_signal(&gate->over);
	pthread_mutex_unlock(&gate->mutex);
	return result;
}

void gate_end(struct gate *gate)
{
	struct timespec until;
	int sys = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_S;
	pthread_mutex_lock(&gate->mutex);
	gate->last = true;
	while (gate->now && sys == 0)
		sys = pthread_cond_timedwait(&gate->over, &gate->mutex, &until);
	pthread_mutex_unlock(&gate->mutex);
}

void gate_settle(const char *socket)
{
	char *uri = rundir_uri(socket, "");

	nbdclient_knock(uri, SETTLE_MS);
	free(uri);
}
