/*
 * A backup of a running QEMU's drives that QEMU keeps as they were at one instant, and exports:
 * from there on it is the backup of drives that an NBD server has.
 */
#include "cli/backup_pull.h"

#include "archive/feeds.h"
#include "base/json.h"
#include "cli/memory.h"
#include "archive/create.h"
#include "machine/qemu/pull.h"
#include "cli/qemu_backup.h"
#include "cli/backup.h"
#include "cli/report.h"
#include "cli/signals.h"

#include "cow/sweep.h"
#include "drive/drive.h"

#include <stdlib.h>

struct backup {
	struct qemu_backup qemu;
	struct pull *pull;
	struct pull_outcome outcome;
	struct drive **drives; /* owned; NULL where there is none yet */
	struct sweep *sweep;
};

static void note(void)
{
}

static int begin_pull(struct backup *backup, struct error *err)
{
	struct qemu_backup *qemu = &backup->qemu;

	return pull_begin(&backup->pull, qemu->qmp, &qemu->inventory, &qemu->options->machine, &backup->outcome,
			  err);
}

static int begin(struct backup *backup, struct error *err)
{
	if (qemu_backup_prepare(&backup->qemu, err) < 0 || qemu_backup_open(&backup->qemu, err) < 0)
		return err->code;
	signals_end_by(note);
	if (begin_pull(backup, err) == 0)
		return 0;
	pull_free(backup->pull);
	backup->pull = NULL;
	if (signals_noted() != 0)
		signals_end();
	return err->code;
}

static int open_drives(struct backup *backup, struct error *err)
{
	const struct inventory *inventory = &backup->qemu.inventory;

	backup->drives = memory_new(inventory->n_drives, sizeof(*backup->drives));
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		if (pull_open(backup->pull, i, &backup->drives[i], err) < 0)
			return err->code;
		if (drive_size(backup->drives[i]) != inventory->drives[i].size_bytes)
			return fail(err, ERR_SYSTEM,
				    "drive %s: its size changed while the backup began",
				    inventory->drives[i].name);
	}
	return 0;
}

static int all_was_read(void *context, struct error *err)
{
	return pull_finish(context, err);
}

static int copy(struct backup *backup, struct error *err)
{
	struct qemu_backup *qemu = &backup->qemu;
	struct feed feed;

	if (open_drives(backup, err) < 0 ||
	    sweep_new(&backup->sweep, backup->drives, qemu->create.archive->n_drives,
		      create_piece(&qemu->create), err) < 0)
		return pull_explain(backup->pull, err);
	feed = feed_of_sweep(backup->sweep);
	feed.ended = all_was_read;
	feed.ended_context = backup->pull;
	qemu_backup_stand_back(qemu);
	if (create_write(&qemu->create, &feed, &qemu->report->watcher, err) < 0)
		return pull_explain(backup->pull, err);
	return 0;
}

static void tell(const struct backup *backup)
{
	struct json_t *capture = qemu_backup_tell(&backup->qemu, &backup->outcome.instant);

	json_put_number(capture, "scratch_bytes", backup->outcome.scratch_bytes);
	report_detail(backup->qemu.report, "the scratch images took %llu bytes",
		      (unsigned long long)backup->outcome.scratch_bytes);
}

static void close_drives(struct backup *backup)
{
	if (backup->sweep != NULL)
		sweep_free(backup->sweep);
	for (unsigned i = 0; backup->drives != NULL && i < backup->qemu.inventory.n_drives; i++)
		drive_close(backup->drives[i]);
	free(backup->drives);
}

int backup_pull(const struct backup_options *options, struct report *report)
{
	struct error err = {0};
	int code = EXIT_DONE;
	struct backup backup = {.qemu = qemu_backup_new(options, report)};
	bool done = begin(&backup, &err) == 0 && copy(&backup, &err) == 0;

	pull_free(backup.pull);
	qemu_backup_warn(&backup.qemu, &backup.outcome.instant, backup.outcome.remains);
	if (done)
		tell(&backup);
	else
		code = report_error(report, NULL, &err);
	create_close(&backup.qemu.create);
	close_drives(&backup);
	qemu_backup_free(&backup.qemu);
	return code;
}
