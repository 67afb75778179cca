/*
 * A backup of drives that are files, devices or NBD exports. Everything that can be refused is
 * refused before the output is created: options, names, configs, drives, the limits of the format.
 * Then the sweep over the drives feeds the writer.
 */
#include "cli/backup_images.h"

#include "archive/configs.h"
#include "archive/create.h"
#include "archive/feeds.h"
#include "base/name.h"
#include "cli/memory.h"
#include "cli/report.h"
#include "cli/summary.h"
#include "cow/sweep.h"
#include "drive/drive.h"
#include "drive/argument.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct backup {
	const struct backup_options *options;
	struct report *report;
	struct archive *archive;
	struct drive_argument *arguments;
	struct drive **drives;
	char (*names)[16]; /* of drives without one: "disk0" */
	struct sweep *sweep;
	struct sink sink;
};

/* The names of the drives, taken from the command line; the files are not touched yet. */
static int name_drives(struct backup *backup, struct error *err)
{
	struct archive *archive = backup->archive;
	const struct strings *arguments = &backup->options->common.arguments;

	for (unsigned i = 0; i < arguments->n; i++) {
		struct drive_argument *drive = &backup->arguments[i];

		if (drive_argument_parse(arguments->items[i], drive, err) < 0)
			return err->code;
		if (drive->name == NULL) {
			snprintf(backup->names[i], sizeof(backup->names[i]), "disk%u", i);
			drive->name = backup->names[i];
		}
		for (unsigned j = 0; j < i; j++) {
			if (strcmp(drive->name, backup->arguments[j].name) == 0)
				return fail(err, ERR_USAGE,
					    "drive '%s': the name %s is taken already",
					    arguments->items[i], drive->name);
		}
		archive->drives[i].name.bytes = (const uint8_t *)drive->name;
		archive->drives[i].name.length = (uint32_t)strlen(drive->name);
	}
	if (arguments->n + backup->options->config_files.n == 0)
		return fail(err, ERR_USAGE,
			    "nothing to back up: name at least one drive or config");
	archive->n_drives = arguments->n;
	return 0;
}

static int open_drives(struct backup *backup, struct error *err)
{
	for (uint32_t i = 0; i < backup->archive->n_drives; i++) {
		struct drive_argument *argument = &backup->arguments[i];
		struct drive_options how = {
			.format = argument->format,
			.allow_writers = backup->options->allow_writers,
			.direct = backup->options->direct,
		};
		struct stat found;

		if (stat(argument->path, &found) == 0 && sink_is(&backup->sink, &found))
			return fail(err, ERR_USAGE, "drive %s: %s is what is to be written",
				    argument->name, argument->path);
		if (drive_open(&backup->drives[i], argument->path, &how, err) < 0)
			return err->code;
		backup->archive->drives[i].size_bytes =
			new_archive_size(&backup->sink, argument->name,
					 drive_size(backup->drives[i]),
					 &backup->report->watcher);
	}
	return 0;
}

static int prepare(struct backup *backup, struct error *err)
{
	const struct backup_options *options = backup->options;
	struct archive *archive = backup->archive;

	if (new_archive_begin(archive, &backup->sink, &options->sink, &options->head, err) < 0 ||
	    name_drives(backup, err) < 0 ||
	    configs_read(&options->config_files, &backup->sink, archive, err) < 0)
		return err->code;
	return open_drives(backup, err);
}

static int copy_drives(struct backup *backup, struct error *err)
{
	struct feed feed;

	if (sweep_new(&backup->sweep, backup->drives, backup->archive->n_drives,
		      new_archive_piece(&backup->sink), err) < 0)
		return err->code;
	feed = feed_of_sweep(backup->sweep);
	return new_archive_write(&backup->sink, backup->archive, &feed,
				 &backup->report->watcher, err);
}

/* What was read may be from before and after a change: the archive is kept, but the user must know.
 */
static void warn_of_changes(struct backup *backup)
{
	for (uint32_t i = 0; i < backup->archive->n_drives; i++) {
		if (drive_warning(backup->drives[i]) != NULL)
			report_warning(backup->report, "drive %s: %s", backup->arguments[i].name,
				       drive_warning(backup->drives[i]));
		if (drive_was_changed(backup->drives[i]))
			report_warning(backup->report,
				       "drive %s: %s was changed while it was read; its state in "
				       "the archive is of "
				       "no one instant",
				       backup->arguments[i].name, backup->arguments[i].path);
	}
}

static void close_all(struct backup *backup)
{
	unsigned n = backup->options->common.arguments.n;

	sink_close(&backup->sink);
	if (backup->sweep != NULL)
		sweep_free(backup->sweep);
	for (unsigned i = 0; i < n; i++) {
		if (backup->drives[i] != NULL)
			drive_close(backup->drives[i]);
		drive_argument_free(&backup->arguments[i]);
	}
	configs_free(backup->archive);
	free(backup->names);
	free(backup->drives);
	free(backup->arguments);
	free(backup->archive);
}

int backup_images(const struct backup_options *options, struct report *report)
{
	unsigned n = options->common.arguments.n;
	struct error err = {0};
	int code = EXIT_DONE;
	struct backup backup = {
		.options = options,
		.report = report,
		.archive = memory_new(1, sizeof(struct archive)),
		.arguments = memory_new(n, sizeof(struct drive_argument)),
		.drives = memory_new(n, sizeof(struct drive *)),
		.names = memory_new(n, sizeof(*backup.names)),
	};

	if (prepare(&backup, &err) < 0 ||
	    sink_open(&backup.sink, backup.archive, &err) < 0 ||
	    copy_drives(&backup, &err) < 0) {
		code = report_error(report, NULL, &err);
	} else {
		warn_of_changes(&backup);
		sink_summary(&backup.sink, backup.archive, report);
	}
	close_all(&backup);
	return code;
}
