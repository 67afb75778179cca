/*
 * A backup of drives that are files, devices or NBD exports. Everything that can be refused is
 * refused before the output is created: options, names, configs, drives, the limits of the format.
 * Then the sweep over the drives feeds the writer.
 */
#include "cli/backup_images.h"

#include "archive/configs.h"
#include "archive/create.h"
#include "archive/feeds.h"
#include "cli/memory.h"
#include "cli/report.h"
#include "cli/summary.h"
#include "cow/sweep.h"
#include "drive/drive.h"
#include "drive/argument.h"

#include <stdio.h>
#include <stdlib.h>

struct backup {
	const struct backup_options *options;
	struct report *report;
	struct create create;
	struct drive_argument *arguments;
	struct drive **drives;
	char (*names)[16]; /* of drives without one: "disk0" */
	struct sweep *sweep;
};

/* Names the drives by the command line, before any is opened. */
static int name_drives(struct backup *backup, struct error *err)
{
	const struct strings *arguments = &backup->options->common.arguments;

	for (unsigned i = 0; i < arguments->n; i++) {
		struct drive_argument *drive = &backup->arguments[i];

		TRY(drive_argument_parse(arguments->items[i], drive, err));
		if (drive->name == NULL) {
			snprintf(backup->names[i], sizeof(backup->names[i]), "disk%u", i);
			drive->name = backup->names[i];
		}
		TRY(create_add_drive(&backup->create, drive->name, drive->path, err));
	}
	if (arguments->n + backup->options->config_files.n == 0)
		return fail(err, ERR_USAGE,
			    "nothing to back up: name at least one drive or config");
	return 0;
}

static int open_drives(struct backup *backup, struct error *err)
{
	for (uint32_t i = 0; i < backup->create.archive->n_drives; i++) {
		struct drive_argument *argument = &backup->arguments[i];
		struct drive_options how = {
			.format = argument->format,
			.allow_writers = backup->options->allow_writers,
			.direct = backup->options->direct,
		};

		TRY(drive_open(&backup->drives[i], argument->path, &how, err));
		create_set_size(&backup->create, i, drive_size(backup->drives[i]),
				&backup->report->watcher);
	}
	return 0;
}

static int prepare(struct backup *backup, struct error *err)
{
	const struct backup_options *options = backup->options;
	struct create *create = &backup->create;

	TRY(create_begin(create, &options->create, &options->head, err));
	TRY(name_drives(backup, err));
	TRY(configs_read(create->archive, &options->config_files, create->name, err));
	TRY(open_drives(backup, err));
	return create_open(create, err);
}

static int copy_drives(struct backup *backup, struct error *err)
{
	struct create *create = &backup->create;
	struct feed feed;

	TRY(sweep_new(&backup->sweep, backup->drives, create->archive->n_drives,
		      create_piece(create), err));
	feed = feed_of_sweep(backup->sweep);
	return create_write(create, &feed, &backup->report->watcher, err);
}

/* The archive may hold data from before and after a change. It is kept, but the user must know. */
static void warn_of_changes(struct backup *backup)
{
	for (uint32_t i = 0; i < backup->create.archive->n_drives; i++) {
		if (drive_warning(backup->drives[i]) != NULL)
			report_warning(backup->report, "drive %s: %s", backup->arguments[i].name,
				       drive_warning(backup->drives[i]));
		if (drive_was_changed(backup->drives[i]))
			report_warning(backup->report,
				       "drive %s: %s was changed while it was read; its state in "
				       "the archive is of no one instant",
				       backup->arguments[i].name, backup->arguments[i].path);
	}
}

static void close_all(struct backup *backup)
{
	unsigned n = backup->options->common.arguments.n;

	create_close(&backup->create);
	if (backup->sweep != NULL)
		sweep_free(backup->sweep);
	for (unsigned i = 0; i < n; i++) {
		if (backup->drives[i] != NULL)
			drive_close(backup->drives[i]);
		drive_argument_free(&backup->arguments[i]);
	}
	free(backup->names);
	free(backup->drives);
	free(backup->arguments);
}

int backup_images(const struct backup_options *options, struct report *report)
{
	unsigned n = options->common.arguments.n;
	struct error err = {0};
	int code = EXIT_DONE;
	struct backup backup = {
		.options = options,
		.report = report,
		.arguments = memory_new(n, sizeof(struct drive_argument)),
		.drives = memory_new(n, sizeof(struct drive *)),
		.names = memory_new(n, sizeof(*backup.names)),
	};

	if (prepare(&backup, &err) < 0 || copy_drives(&backup, &err) < 0) {
		code = report_error(report, NULL, &err);
	} else {
		warn_of_changes(&backup);
		summary_tell(&backup.create, report);
	}
	close_all(&backup);
	return code;
}
