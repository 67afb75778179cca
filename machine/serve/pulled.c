#include "machine/serve/pulled.h"

#include "base/clock.h"
#include "base/grain.h"
#include "base/stop.h"
#include "base/watcher.h"
#include "drive/drive.h"
#include "machine/machine.h"
#include "machine/serve/instant.h"
#include "machine/serve/listen.h"
#include "nbd/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS	 200   /* between looks for a signal */
#define LOOK_MS	 1000  /* between looks at a snapshot that nobody reads */
#define GRACE_MS 1000u /* for clients to take their last replies */

struct pulled_drive {
	struct instant instant;
	struct pulled *pulled;
	struct drive *drive; /* the machine's */
};

struct pulled {
	const struct machine_kind *kind;
	const struct snapshot_options *options;
	const struct watcher *watcher;
	struct machine *machine;
	bool began; /* and finish or explain has to come */
	struct machine_description drives;
	struct pulled_drive *shown; /* owned; of each drive */
	struct nbdserver *nbd;

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t checked;
	bool checking;		   /* a thread asks the machine */
	uint64_t n_begun, n_ended; /* such questions */
	bool lost;
	struct error why;
};

/* ---- whether it is the snapshot that is read ---- */

static void lose_locked(struct pulled *pulled, const struct error *why)
{
	if (!pulled->lost)
		pulled->why = *why;
	pulled->lost = true;
	pthread_cond_broadcast(&pulled->checked);
}

static void lose(struct pulled *pulled, const struct error *why)
{
	pthread_mutex_lock(&pulled->lock);
	lose_locked(pulled, why);
	pthread_mutex_unlock(&pulled->lock);
}

static void check_locked(struct pulled *pulled)
{
	uint64_t mine = ++pulled->n_begun;
	struct error err = {0};
	int code;

	pulled->checking = true;
	pthread_mutex_unlock(&pulled->lock);
	code = pulled->kind->check(pulled->machine, &err);
	pthread_mutex_lock(&pulled->lock);
	pulled->checking = false;
	pulled->n_ended = mine;
	if (code < 0)
		lose_locked(pulled, &err);
	pthread_cond_broadcast(&pulled->checked);
}

/* One question that begins from here on answers for all who have read before it. */
static bool is_of_instant(struct pulled *pulled)
{
	uint64_t mine;
	bool lost;

	pthread_mutex_lock(&pulled->lock);
	mine = pulled->n_begun + 1;
	while (pulled->n_ended < mine && !pulled->lost) {
		if (pulled->checking)
			pthread_cond_wait(&pulled->checked, &pulled->lock);
		else
			check_locked(pulled);
	}
	lost = pulled->lost;
	pthread_mutex_unlock(&pulled->lock);
	return !lost;
}

/* ---- NBD ---- */

static int do_read(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	const struct pulled_drive *shown = context;
	struct error err;

	if (flags & NBDSERVER_NOW)
		return EAGAIN;
	if (drive_read(shown->drive, offset, to, n, &err) < 0) {
		lose(shown->pulled, &err);
		return EIO;
	}
	return is_of_instant(shown->pulled) ? 0 : EIO;
}

static int do_status(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	const struct pulled_drive *shown = context;
	struct error err;

	if (drive_status(shown->drive, offset, n, zero, &err) < 0) {
		lose(shown->pulled, &err);
		return EIO;
	}
	return 0;
}

static int do_confirm(void *context)
{
	const struct pulled_drive *shown = context;

	return is_of_instant(shown->pulled) ? 0 : EIO;
}

static const struct nbdserver_ops ops = {
	.read = do_read,
	.status = do_status,
	.confirm = do_confirm,
	.bitmap = instant_bitmap,
	.find_bitmap = instant_find_bitmap,
	.bitmap_name = instant_bitmap_name,
};

static int serve(struct pulled *pulled, struct error *err)
{
	uint32_t n = pulled->drives.n_drives;
	struct nbdserver_export *exports = calloc(n, sizeof(*exports));
	int code;

	if (exports == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < n; i++)
		exports[i] = instant_export(&pulled->shown[i].instant, &ops);
	code = serve_listen(&pulled->nbd, exports, n, &pulled->options->serve, pulled->watcher,
			    err);
	free(exports);
	return code;
}

/* ---- the beginning ---- */

static int show_drive(struct pulled *pulled, uint32_t i, struct error *err)
{
	const struct machine_drive *drive = &pulled->drives.drives[i];
	struct pulled_drive *shown = &pulled->shown[i];
	struct machine_changes changes = {0};

	shown->instant = (struct instant){
		drive->name, pulled->options->machine.since, drive->size_bytes, {0}};
	shown->pulled = pulled;
	TRY(pulled->kind->drive(pulled->machine, i, &shown->drive, err));
	if (pulled->options->machine.since == NULL || drive->size_bytes == 0)
		return 0;
	TRY(pulled->kind->changes(pulled->machine, i, &changes, err));
	if (!changes.known)
		return fail(err, ERR_SYSTEM, "drive %s: what changed since %.60s is not known: %s",
			    drive->name, pulled->options->machine.since, changes.why);
	shown->instant.changed = changes.set;
	return 0;
}

/* What a signal does while the machine takes the instant is its own; after that, pulled_wait sees
 * it. */
static enum stop_next end_by_signal(void)
{
	return STOP_ENDS;
}

static int start(struct pulled *pulled, struct error *err)
{
	const struct machine_since nothing = {0};

	TRY(pulled->kind->open(&pulled->machine, &pulled->options->machine, pulled->watcher, err));
	pulled->kind->describe(pulled->machine, &pulled->drives);
	pulled->shown = calloc(pulled->drives.n_drives, sizeof(*pulled->shown));
	if (pulled->shown == NULL)
		return fail_memory(err);
	TRY(pulled->kind->begin(pulled->machine, &nothing, err));
	pulled->began = true;
	stop_handle(end_by_signal);
	for (uint32_t i = 0; i < pulled->drives.n_drives; i++)
		TRY(show_drive(pulled, i, err));
	return serve(pulled, err);
}

/* ---- the whole ---- */

int pulled_open(struct pulled **out, const struct machine_kind *kind,
		const struct snapshot_options *options, const struct watcher *watcher,
		struct error *err)
{
	struct pulled *pulled;

	TRY(snapshot_check(options, err));
	pulled = calloc(1, sizeof(*pulled));
	if (pulled == NULL)
		return fail_memory(err);
	pulled->kind = kind;
	pulled->options = options;
	pulled->watcher = watcher;
	pthread_mutex_init(&pulled->lock, NULL);
	pthread_cond_init(&pulled->checked, NULL);
	if (start(pulled, err) < 0) {
		if (pulled->began)
			kind->explain(pulled->machine, err);
		pulled->began = false;
		pulled_close(pulled);
		return err->code;
	}
	*out = pulled;
	return 0;
}

static bool is_lost(struct pulled *pulled)
{
	bool lost;

	pthread_mutex_lock(&pulled->lock);
	lost = pulled->lost;
	pthread_mutex_unlock(&pulled->lock);
	return lost;
}

/* No thread asks the machine any more. */
static void end_checks(struct pulled *pulled)
{
	const struct error closing = {.code = ERR_SYSTEM};

	pthread_mutex_lock(&pulled->lock);
	lose_locked(pulled, &closing);
	while (pulled->checking)
		pthread_cond_wait(&pulled->checked, &pulled->lock);
	pthread_mutex_unlock(&pulled->lock);
}

int pulled_wait(struct pulled *pulled, struct error *err)
{
	int64_t next_look = clock_ms() + LOOK_MS;

	while (!is_lost(pulled) && stop_signal() == 0) {
		clock_sleep_ms(STEP_MS);
		if (clock_ms() < next_look || stop_signal() != 0)
			continue;
		is_of_instant(pulled);
		next_look = clock_ms() + LOOK_MS;
	}
	if (stop_signal() != 0)
		return 0;
	end_checks(pulled);
	*err = pulled->why;
	pulled->began = false;
	return pulled->kind->explain(pulled->machine, err);
}

void pulled_close(struct pulled *pulled)
{
	struct error ignored;

	if (pulled == NULL)
		return;
	end_checks(pulled);
	if (pulled->nbd != NULL)
		nbdserver_stop(pulled->nbd, GRACE_MS);
	nbdserver_free(pulled->nbd);
	/* Whatever it says, each answer was checked before it went out. */
	if (pulled->began)
		pulled->kind->finish(pulled->machine, &ignored);
	pulled->kind->end(pulled->machine);
	for (uint32_t i = 0; pulled->shown != NULL && i < pulled->drives.n_drives; i++)
		cluster_set_free(&pulled->shown[i].instant.changed);
	free(pulled->shown);
	pthread_cond_destroy(&pulled->checked);
	pthread_mutex_destroy(&pulled->lock);
	stop_handle(NULL);
	free(pulled);
}
