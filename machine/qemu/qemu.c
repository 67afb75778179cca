#include "machine/qemu/qemu.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/stop.h"
#include "base/watcher.h"
#include "machine/qemu/bitmaps.h"
#include "machine/qemu/leftovers.h"
#include "machine/qemu/migration.h"
#include "machine/qemu/mirror.h"
#include "machine/qemu/qmp.h"
#include "machine/rounded.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_SIZE_MAX (1u << 20) /* bytes of what QEMU tells */
#define END_MS	      20000	 /* for a QEMU that has hung up to end */
#define STEP_MS	      50

/* ---- the machine ---- */

static int read_text(struct qemu *qemu, struct error *err)
{
	struct json_t *all = inventory_describe(&qemu->inventory, qemu->qmp);
	size_t length;

	qemu->text = json_line(all);
	json_free(all);
	if (qemu->text == NULL)
		return fail_memory(err);
	length = strlen(qemu->text);
	if (length > TEXT_SIZE_MAX) {
		watcher_warn(qemu->watcher,
			     "QEMU's description of the machine is too long, and left out");
		return 0;
	}
	qemu->config = (struct machine_config){
		.name = "qemu.json",
		.data = {(const uint8_t *)qemu->text, (uint32_t)length},
	};
	return 0;
}

static int list_drives(struct qemu *qemu, struct error *err)
{
	const struct inventory *inventory = &qemu->inventory;

	qemu->drives = calloc(inventory->n_drives, sizeof(*qemu->drives));
	if (qemu->drives == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		qemu->drives[i] = (struct machine_drive){
			.name = inventory->drives[i].name,
			.path = inventory->drives[i].file,
			.size_bytes = inventory->drives[i].size_bytes,
			.decrypted = inventory->drives[i].decrypted,
			.data_bytes = inventory->drives[i].data_bytes,
		};
		rounded_note(&qemu->drives[i], qemu->watcher);
	}
	return 0;
}

int qemu_open(struct qemu *out, const struct machine_options *options,
	      const struct watcher *watcher, struct error *err)
{
	unsigned n_leftovers, n_broken;

	*out = (struct qemu){.options = options, .watcher = watcher};
	TRY(qmp_open(&out->qmp, options->place, err));
	TRY(mirror_check_answers(out->qmp, err));
	TRY(leftovers_remove(out->qmp, NULL, &n_leftovers, err));
	if (n_leftovers > 0)
		watcher_note(watcher, "cleaned up in QEMU after %u killed run%s", n_leftovers,
			     n_leftovers == 1 ? "" : "s");
	TRY(migration_check(out->qmp, err));
	out->has_events = migration_watch(out->qmp);
	TRY(inventory_read(&out->inventory, out->qmp, err));
	TRY(bitmaps_remove_broken(out->qmp, out->inventory.nodes, &n_broken, err));
	if (n_broken > 0)
		watcher_note(watcher,
			     "removed %u bitmap%s of ours from QEMU, broken as it was killed",
			     n_broken, n_broken == 1 ? "" : "s");
	TRY(inventory_choose(&out->inventory, &options->drives, err));
	TRY(list_drives(out, err));
	return read_text(out, err);
}

void qemu_close(struct qemu *qemu)
{
	inventory_free(&qemu->inventory);
	if (qemu->has_events)
		migration_unwatch(qemu->qmp);
	qmp_close(qemu->qmp);
	free(qemu->drives);
	free(qemu->text);
}

void qemu_describe(const struct qemu *qemu, struct machine_description *out)
{
	*out = (struct machine_description){
		.drives = qemu->drives,
		.n_drives = qemu->inventory.n_drives,
		.configs = &qemu->config,
		.n_configs = qemu->config.name == NULL ? 0 : 1,
		.is_running = true,
	};
}

void qemu_advise(const struct qemu *qemu, struct error *err)
{
	struct ucred peer;

	if (strstr(qmp_refusal(qemu->qmp), "Permission denied") != NULL &&
	    !qmp_peer(qemu->qmp, &peer))
		error_append(err, "; over TCP it is not known who QEMU's user is: run vmabak as "
				  "that user, or use a monitor on a unix socket");
}

/* ---- the end ---- */

/* While a machine powers off, QEMU ends the jobs first, then takes no commands, and is gone only
 * after that. A monitor that another client has (ERR_LOCKED) is left to the guard, which also
 * has the memory that is lacking here. */
bool qemu_clear(struct qemu *qemu, int (*remove)(void *context, struct error *err), void *context)
{
	int64_t until = clock_ms() + END_MS;
	struct error err = {0};
	bool gone = false;

	for (;;) {
		if (qmp_again(&qemu->qmp, qemu->options->place, &gone, &err) == 0 &&
		    remove(context, &err) == 0)
			return true;
		if (gone || qmp_works(qemu->qmp) || err.code == ERR_LOCKED || err.sys == ENOMEM ||
		    clock_ms() > until)
			break;
		clock_sleep_ms(STEP_MS);
	}
	if (!gone)
		snprintf(qemu->remains, sizeof(qemu->remains), "%s", err.text);
	return !gone;
}

/* ---- what is told ---- */

void qemu_warn(struct qemu *qemu)
{
	if (qemu->instant.thawing[0] != '\0')
		watcher_warn(qemu->watcher, "%s", qemu->instant.thawing);
	if (qemu->remains[0] != '\0')
		watcher_warn(qemu->watcher, "something may be left in QEMU: %s", qemu->remains);
	qemu->instant.thawing[0] = qemu->remains[0] = '\0';
}

void qemu_outcome(const struct qemu *qemu, struct json_t *capture)
{
	const struct instant_outcome *instant = &qemu->instant;

	json_put_number(capture, "instant_ms", instant->instant_ms);
	json_put_number(capture, "frozen_filesystems", instant->n_frozen);
	json_put_number(capture, "frozen_ms", instant->frozen_ms);
	if (instant->n_frozen > 0)
		watcher_note(qemu->watcher, "guest file systems (%llu) were frozen for %llu ms",
			     (unsigned long long)instant->n_frozen,
			     (unsigned long long)instant->frozen_ms);
}

/* ---- signals ---- */

static struct {
	pthread_mutex_t lock; /* guards all */
	pthread_cond_t over;
	void (*interrupt)(void *context); /* NULL: nothing is left in QEMU */
	void *context;
} busy = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};

/* The thread of the command may be stuck in its output, so nothing is left to it. */
static enum stop_next interrupt(void)
{
	pthread_mutex_lock(&busy.lock);
	if (busy.interrupt != NULL)
		busy.interrupt(busy.context);
	while (busy.interrupt != NULL)
		pthread_cond_wait(&busy.over, &busy.lock);
	pthread_mutex_unlock(&busy.lock);
	return STOP_NOW;
}

void qemu_stir(void (*call)(void *context), void *context)
{
	pthread_mutex_lock(&busy.lock);
	busy.interrupt = call;
	busy.context = context;
	pthread_mutex_unlock(&busy.lock);
	stop_handle(interrupt);
}

void qemu_calm(void)
{
	stop_handle(NULL);
	pthread_mutex_lock(&busy.lock);
	busy.interrupt = NULL;
	pthread_cond_broadcast(&busy.over);
	pthread_mutex_unlock(&busy.lock);
}
