#include "machine/gate.h"

#include "nbd/client.h"
#include "machine/rundir.h"
#include "drive/drive.h"

#include <stdlib.h>
#include <time.h>

#define END_S	  25 /* longer than connecting takes before it is given up (nbd/client.h) */
#define SETTLE_MS 5000

int handshake_open(struct handshake *handshake, struct drive **out, const char *uri,
		   struct error *err)
{
	const struct drive_options how = {.format = "raw", .snapshot = true};
	bool may;
	int result;

	pthread_mutex_lock(&handshake->mutex);
	may = handshake->now = !handshake->last;
	pthread_mutex_unlock(&handshake->mutex);
	if (!may)
		return fail(err, ERR_SYSTEM, "the backup has been ended");
	result = drive_open(out, uri, &how, err);
	pthread_mutex_lock(&handshake->mutex);
	handshake->now = false;
	pthread_cond_signal(&handshake->over);
	pthread_mutex_unlock(&handshake->mutex);
	return result;
}

void handshake_end(struct handshake *handshake)
{
	struct timespec until;
	int sys = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_S;
	pthread_mutex_lock(&handshake->mutex);
	handshake->last = true;
	while (handshake->now && sys == 0)
		sys = pthread_cond_timedwait(&handshake->over, &handshake->mutex, &until);
	pthread_mutex_unlock(&handshake->mutex);
}

void handshake_settle(const char *socket)
{
	char *uri = rundir_uri(socket, "");

	nbdclient_knock(uri, SETTLE_MS);
	free(uri);
}
