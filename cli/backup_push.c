/*
 * A backup of a running QEMU's drives: QEMU's own jobs save the old data before the guest changes
 * it, and push all of it to us; this makes an archive of it, in the order in which it comes.
 */
#include "cli/backup_push.h"

#include "archive/feeds.h"
#include "base/json.h"
#include "machine/serve/client.h"
#include "archive/create.h"
#include "machine/qemu/push.h"
#include "cli/qemu_backup.h"
#include "cli/backup.h"
#include "cli/report.h"
#include "cli/signals.h"

#include "cow/chunks.h"

#include <pthread.h>

struct backup {
	struct qemu_backup qemu;
	struct buffer *buffer;
	struct push *push;
	struct push_outcome outcome;
};

static int make_buffer(struct backup *backup, struct error *err)
{
	const struct backup_options *options = backup->qemu.options;
	uint64_t size = options->machine.buffer;
	struct buffer_options how = {
		.n_chunks = (uint32_t)(size / CHUNK_SIZE),
		.spill_bytes = options->machine.spill,
		.spill_dir = options->machine.spill_dir == NULL ? "/var/tmp" : options->machine.spill_dir,
		.when_full = options->machine.on_full == FULL_CHOICE_WAIT ? FULL_WAIT : FULL_FAIL,
	};

	return buffer_new(&backup->buffer, &how, err);
}

static int prepare(struct backup *backup, struct error *err)
{
	if (qemu_backup_prepare(&backup->qemu, err) < 0 || make_buffer(backup, err) < 0)
		return err->code;
	return qemu_backup_open(&backup->qemu, err);
}

static int begin(struct backup *backup, struct error *err)
{
	struct qemu_backup *qemu = &backup->qemu;

	return push_begin(&backup->push, qemu->qmp, &qemu->inventory, backup->buffer, &qemu->options->machine,
			  &qemu->create.counts.covered_bytes, &backup->outcome, err);
}

/* ---- ^C: it ends all who wait for the buffer ---- */

static pthread_mutex_t interrupt_lock = PTHREAD_MUTEX_INITIALIZER;
static struct buffer *interrupted; /* NULL: none; interrupt_lock guards it */

static void interrupt(void)
{
	struct error err;

	fail(&err, ERR_SYSTEM, "interrupted");
	pthread_mutex_lock(&interrupt_lock);
	if (interrupted != NULL)
		buffer_fail(interrupted, &err);
	pthread_mutex_unlock(&interrupt_lock);
}

static void interrupt_by(struct buffer *buffer)
{
	pthread_mutex_lock(&interrupt_lock);
	interrupted = buffer;
	pthread_mutex_unlock(&interrupt_lock);
	if (buffer != NULL)
		signals_end_by(interrupt);
}

/* What the buffer knows came first, even if the output has failed since. That it was full is not
 * for the exit code that speaks of the output. */
static int explain(struct backup *backup, struct error *err)
{
	struct error first;

	if (!buffer_has_failed(backup->buffer)) {
		buffer_fail(backup->buffer, err);
		return err->code;
	}
	if (buffer_error(backup->buffer, &first) == ERR_FULL)
		return fail(err, ERR_SYSTEM, "%.300s; --buffer, --spill or --on-full help",
			    first.text);
	*err = first;
	return err->code;
}

static int copy(struct backup *backup, struct error *err)
{
	struct chunk_source source = buffer_chunks(backup->buffer);
	struct feed feed = feed_of_chunks(&source);
	int result;

	interrupt_by(backup->buffer);
	result = begin(backup, err);

	if (result < 0) {
		buffer_fail(backup->buffer, err);
		push_free(backup->push);
		backup->push = NULL;
		if (signals_noted() != 0)
			signals_end();
		return result;
	}
	qemu_backup_stand_back(&backup->qemu); /* QEMU is answered by other threads */
	result = create_write(&backup->qemu.create, &feed, &backup->qemu.report->watcher, err);
	if (result < 0)
		result = explain(backup, err);
	push_end(backup->push);
	return result;
}

static void tell(struct backup *backup)
{
	const struct push_outcome *outcome = &backup->outcome;
	struct json_t *capture = qemu_backup_tell(&backup->qemu, &outcome->instant);
	const struct buffer_counts *counts = buffer_counts(backup->buffer);

	json_put_number(capture, "received_clusters", outcome->counts.data_clusters);
	json_put_number(capture, "repeated_clusters", outcome->counts.again_clusters);
	json_put_number(capture, "held_requests", outcome->counts.held_requests);
	json_put_number(capture, "spilled_clusters", counts->spilled_clusters);
	json_put_number(capture, "buffer_peak_bytes", counts->peak_bytes);
}

int backup_push(const struct backup_options *options, struct report *report)
{
	struct error err = {0};
	int code = EXIT_DONE;
	struct backup backup = {.qemu = qemu_backup_new(options, report)};
	bool done = prepare(&backup, &err) == 0 && copy(&backup, &err) == 0;

	qemu_backup_warn(&backup.qemu, &backup.outcome.instant, backup.outcome.remains);
	if (done)
		tell(&backup);
	else
		code = report_error(report, NULL, &err);
	push_free(backup.push);
	interrupt_by(NULL);
	create_close(&backup.qemu.create);
	buffer_free(backup.buffer);
	qemu_backup_free(&backup.qemu);
	return code;
}
