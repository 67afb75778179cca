/*
 * A backup of any source: all kinds of machine are asked in one way (machine/machine.h), and drives
 * named one by one are a kind, too. Everything that can be refused is refused before the output is
 * created, and the machine is asked to begin only once the output is there.
 */
#include "cli/backup.h"

#include "archive/configs.h"
#include "archive/create.h"
#include "archive/feeds.h"
#include "base/background.h"
#include "base/command.h"
#include "base/json.h"
#include "cli/memory.h"
#include "cli/report.h"
#include "cli/since.h"
#include "cli/summary.h"
#include "cow/sweep.h"
#include "drive/drive.h"
#include "machine/kinds.h"
#include "writer/output/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct backup {
	const struct machine_kind *kind;
	const struct backup_options *options;
	struct report *report;
	struct create create;
	struct machine *machine;
	struct machine_description description;
	struct drive **drives; /* the machine's; the array is owned */
	struct sweep *sweep;
	struct drive_changes changes;
	struct tracked_images images;
	struct since since;
	unsigned n_tracked; /* drives that the machine records in */
};

static int add_drives(struct backup *backup, struct error *err)
{
	const struct machine_description *description = &backup->description;

	for (uint32_t i = 0; i < description->n_drives; i++) {
		const struct machine_drive *drive = &description->drives[i];

		TRY(create_add_drive(&backup->create, drive->name, drive->path, err));
		create_set_size(&backup->create, i, drive->size_bytes, &backup->report->watcher);
	}
	return 0;
}

/* A machine starts without its own configs, too, mostly: one that is lacking is worth a warning. */
static void add_configs(struct backup *backup)
{
	struct archive *archive = backup->create.archive;

	for (uint32_t i = 0; i < backup->description.n_configs; i++) {
		const struct machine_config *config = &backup->description.configs[i];
		struct text name = {(const uint8_t *)config->name, (uint32_t)strlen(config->name)};
		struct error err = {0};
		int code;

		if (configs_have(archive, name))
			continue;
		if (config->path != NULL)
			code = configs_read_file(archive, config->name, config->path,
						 backup->create.name, &err);
		else
			code = configs_add(archive, config->name, config->data, &err);
		if (code < 0)
			report_warning(backup->report, "%s is not in the archive: %s", config->name,
				       err.text);
	}
}

/* The archive is not encrypted, which may not be expected of drives that are. */
static void tell_decrypted(const struct backup *backup)
{
	const struct machine_description *description = &backup->description;
	struct json_t *list = json_put_array(backup->report->result, "decrypted_drives");
	char names[200] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < description->n_drives; i++) {
		const char *name = description->drives[i].name;

		if (!description->drives[i].decrypted)
			continue;
		json_add_text(list, name);
		if (used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
						 used == 0 ? "" : ", ", name);
	}
	if (used > 0)
		report_note(backup->report,
			    "encrypted where they lie, but in clear in the archive: %s%s", names,
			    used < sizeof(names) ? "" : " ...");
}

static int open_drives(struct backup *backup, struct error *err)
{
	uint32_t n = backup->description.n_drives;

	backup->drives = memory_new(n + 1, sizeof(*backup->drives));
	for (uint32_t i = 0; i < n; i++) {
		const struct machine_drive *drive = &backup->description.drives[i];

		TRY(backup->kind->drive(backup->machine, i, &backup->drives[i], err));
		if (drive_size(backup->drives[i]) != drive->size_bytes)
			return fail(err, ERR_SYSTEM,
				    "drive %s: its size changed while the backup began",
				    drive->name);
	}
	return 0;
}

/* The instant of drives that are off does not move: they can be read before the output is there. */
static bool is_off(const struct backup *backup)
{
	return backup->kind->begin == NULL && backup->kind->drive != NULL;
}

static int prove(struct backup *backup, struct error *err)
{
	return increment_apply(&backup->options->increment, &backup->create, backup->drives,
			       backup->changes.of, backup->report, err);
}

/* libvirt's may be off, which shows later. */
static bool must_run(const struct machine_kind *kind)
{
	return kind->chunks != NULL || kind == &machine_pull;
}

static int refuse_resume(struct error *err)
{
	return fail(err, ERR_USAGE,
		    "--resume: the instant of a machine that runs is gone when a backup of it "
		    "breaks off: it cannot be taken up, only be made anew");
}

/* What goes on must bring the same bytes again. */
static int check_resume(const struct backup *backup, struct error *err)
{
	const struct backup_options *options = backup->options;

	if (options->create.resume_check != NULL &&
	    (!options->create.resume || command_of(options->create.name) == NULL))
		return fail(err, ERR_USAGE, "--resume-check needs --resume and -o exec:COMMAND");
	if (!options->create.resume)
		return 0;
	if (backup->description.images == NULL)
		return refuse_resume(err);
	if (options->machine.allow_writers)
		return fail(err, ERR_USAGE,
			    "--resume and --allow-writers exclude each other: only a backup of "
			    "what holds still can be taken up");
	if (options->track.track)
		return fail(err, ERR_USAGE, "--resume and --track exclude each other");
	for (uint32_t i = 0; i < backup->description.n_drives; i++) {
		if (strcmp(backup->description.drives[i].path, "-") == 0)
			return fail(err, ERR_USAGE,
				    "--resume: drive %s is standard input, which cannot be read "
				    "again",
				    backup->description.drives[i].name);
	}
	return 0;
}

static int prepare(struct backup *backup, struct error *err)
{
	const struct backup_options *options = backup->options;
	struct create *create = &backup->create;

	if (options->create.resume && must_run(backup->kind))
		return refuse_resume(err);
	TRY(create_begin(create, &options->create, &options->head, err));
	TRY(configs_read(create->archive, &options->config_files, create->name, err));
	TRY(backup->kind->open(&backup->machine, &options->machine, &backup->report->watcher, err));
	backup->kind->describe(backup->machine, &backup->description);
	TRY(check_resume(backup, err));
	TRY(create_take_up(create, &backup->report->watcher, err));
	TRY(add_drives(backup, err));
	TRY(drive_changes_read(&backup->changes, &options->changes, &backup->description,
			       options->head.parent != NULL, err));
	TRY(track_check(&options->track, &options->machine, create, err));
	if (backup->description.images != NULL)
		TRY(tracked_images_open(&backup->images, &options->track,
					backup->description.images, create, &backup->changes, err));
	add_configs(backup);
	tell_decrypted(backup);
	if (create->archive->n_drives + create->archive->n_configs == 0)
		return fail(err, ERR_USAGE,
			    "nothing to back up: name at least one drive or config");
	TRY(create_prepare(create, &backup->report->watcher, err));
	if (is_off(backup)) {
		TRY(open_drives(backup, err));
		TRY(drive_changes_leave_out(&backup->changes, create, backup->drives, err));
	}
	TRY(tracked_images_find(&backup->images, create, &backup->changes, err));
	TRY(since_begin(&backup->since, backup->kind, backup->machine, create, err));
	TRY(since_prove(&backup->since, backup->kind, backup->machine, &options->increment, create,
			backup->report, err));
	TRY(since_name(backup->kind, backup->machine, create, err));
	TRY(increment_name(&options->increment, create, backup->changes.of, backup->report, err));
	if (is_off(backup))
		TRY(prove(backup, err));
	return create_open(create, &backup->report->watcher, err);
}

static int all_was_read(void *context, struct error *err)
{
	struct backup *backup = context;

	return backup->kind->finish != NULL ? backup->kind->finish(backup->machine, err) : 0;
}

static int sweep_drives(struct backup *backup, struct feed *feed, struct error *err)
{
	uint32_t n = backup->description.n_drives;

	TRY(sweep_new(&backup->sweep, backup->drives, n, create_piece(&backup->create), err));
	*feed = feed_of_sweep(backup->sweep);
	return 0;
}

/* An empty image holds next to nothing, which is not "unknown". */
static uint64_t estimate(const struct machine_description *description)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < description->n_drives; i++) {
		const struct machine_drive *drive = &description->drives[i];
		bool useful = drive->data_bytes > 0 && drive->data_bytes < drive->size_bytes;

		bytes += useful ? drive->data_bytes : drive->size_bytes;
	}
	return bytes;
}

static int take_chunks(struct backup *backup, struct feed *feed, struct error *err)
{
	const struct chunk_source *source;

	TRY(backup->kind->chunks(backup->machine, create_piece(&backup->create), &source, err));
	*feed = feed_of_chunks(source);
	feed->total_bytes = estimate(&backup->description);
	return 0;
}

/* What was found wrong counts no more, also where that is an error. */
static int prove_and_judge(struct backup *backup, struct error *err)
{
	struct error ignored;
	int code = prove(backup, err);
	int judged = since_judge(&backup->since, backup->kind, backup->machine, &backup->create,
				 code < 0 ? &ignored : err);

	return code < 0 ? code : judged;
}

static int copy(struct backup *backup, struct error *err)
{
	struct feed feed;

	if (!is_off(backup)) {
		TRY(since_ask(&backup->since, backup->kind, backup->machine, &backup->create,
			      &backup->changes, backup->report, err));
		if (backup->kind->drive != NULL)
			TRY(open_drives(backup, err));
		TRY(prove_and_judge(backup, err));
	}
	if (backup->kind->chunks != NULL)
		TRY(take_chunks(backup, &feed, err));
	else
		TRY(sweep_drives(backup, &feed, err));
	drive_changes_use(&backup->changes, &backup->create, backup->sweep);
	feed.ended = all_was_read;
	feed.ended_context = backup;
	if (backup->description.is_running)
		background_work(BACKGROUND_PACKS);
	return create_write(&backup->create, &feed, &backup->report->watcher, err);
}

static int run(struct backup *backup, struct error *err)
{
	TRY(prepare(backup, err));
	if (backup->kind->begin != NULL)
		TRY(backup->kind->begin(backup->machine, &backup->since.told, err));
	int code = copy(backup, err);
	return code == 0 || backup->kind->explain == NULL
		       ? code
		       : backup->kind->explain(backup->machine, err);
}

/* The machine may call the instant a checkpoint. */
static void commit(struct backup *backup)
{
	const struct machine_archive archive = {
		.raw_bytes = writer_totals(backup->create.writer)->n_data * CLUSTER_SIZE,
		.written_bytes = atomic_load(&backup->create.counts.written_bytes),
		.is_piped = strcmp(backup->create.name, "-") == 0,
	};
	struct error err = {0};
	int code;

	if (backup->kind->commit == NULL || backup->since.told.uuid == NULL)
		return;
	code = backup->kind->commit(backup->machine, &archive, &err);
	backup->n_tracked = code > 0 ? (unsigned)code : 0;
	if (code < 0)
		report_warning(backup->report,
			       "the archive is complete, but the machine has no checkpoint for it: "
			       "%s",
			       err.text);
}

static void tell(struct backup *backup)
{
	struct json_t *result = backup->report->result;

	summary_tell(&backup->create, backup->report);
	increment_tell(&backup->create, backup->report);
	json_put_number(result, "kept_bytes", output_kept_bytes(backup->create.output));
	json_put_text(result, "sums", new_sums_path(backup->create.sums));
	if (backup->kind->outcome != NULL)
		backup->kind->outcome(backup->machine, json_put_object(result, "capture"));
}

/* The machine first, so that a guest waits for nothing that is of no use any more. */
static void close_all(struct backup *backup, bool done)
{
	for (uint32_t i = 0; i < backup->images.n && backup->drives != NULL && done; i++)
		if (drive_was_changed(backup->drives[i]))
			tracked_images_changed(&backup->images, i);
	if (backup->sweep != NULL)
		sweep_free(backup->sweep);
	free(backup->drives);
	backup->kind->end(backup->machine);
	if (done)
		tracked_images_record(&backup->images, &backup->create, backup->n_tracked,
				      backup->report->result);
	create_close(&backup->create);
	drive_changes_free(&backup->changes);
	tracked_images_free(&backup->images);
	since_free(&backup->since);
}

/* 1: what a run before has left was of something else, and all can begin anew. */
static int back_up(const struct machine_kind *kind, const struct backup_options *options,
		   struct report *report, struct error *err)
{
	struct backup backup = {
		.kind = kind,
		.options = options,
		.report = report,
		.images = {.watcher = &report->watcher, .shared = options->machine.allow_writers},
	};
	int code = run(&backup, err);

	if (code == 0) {
		commit(&backup);
		tell(&backup);
	} else if (create_differs(&backup.create)) {
		code = 1;
	}
	close_all(&backup, code == 0);
	return code;
}

int backup_machine(const struct machine_kind *kind, const struct backup_options *options,
		   struct report *report)
{
	struct error err = {0};
	int code = back_up(kind, options, report, &err);

	if (code > 0) {
		report_note(report, "%s: begun anew", err.text);
		err = (struct error){0};
		code = back_up(kind, options, report, &err);
	}
	return code == 0 ? EXIT_DONE : report_error(report, NULL, &err);
}
