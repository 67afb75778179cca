/*
 * A guard for the connections that drives are copied from, where QEMU needs it (machine/held.h).
 */
#include "machine/guard.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/mirror.h"
#include "machine/qemu/mirror_parts.h"

#define END_MS 60000

static int keep(void *context, int fd, struct error *err)
{
	return guard_hold(context, fd, err);
}

int held_start(struct qemu_mirror *mirror, struct error *err)
{
	const struct machine_options options = {.place = mirror->place};

	if (!mirror->has_iothreads)
		return 0;
	TRY(guard_start(&mirror->guard, "qemu", &options, mirror->id, err));
	mirror->hold = (struct nbdclient_hold){.keep = keep, .context = mirror->guard, .n_each = 1};
	guard_tell(mirror->guard, GUARD_READS, -1);
	return 0;
}

const struct nbdclient_hold *held_hold(const struct qemu_mirror *mirror)
{
	return mirror->guard != NULL ? &mirror->hold : NULL;
}

void held_stop(struct qemu_mirror *mirror, bool done)
{
	struct guard *guard;

	pthread_mutex_lock(&mirror->lock_all);
	guard = mirror->guard;
	mirror->guard = NULL;
	pthread_mutex_unlock(&mirror->lock_all);
	guard_end(guard, done);
}

/* ---- in the guard ---- */

int mirror_unread(struct qmp *qmp, const char *id, struct error *err)
{
	return exports_remove(qmp, mirror_name_is, id, END_MS, NULL, err);
}
