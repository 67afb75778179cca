/*
 * Everything that can be refused is refused before the output is created: options, names, configs,
 * drives, the limits of the format. Then the sweep over the drives feeds the writer.
 */
#include "cli/backup_libvirt.h"
#include "cli/backup_live.h"
#include "cli/backup_pull.h"
#include "cli/backup_push.h"
#include "cli/commands.h"
#include "archive/configs.h"
#include "archive/feeds.h"
#include "cli/memory.h"
#include "base/name.h"
#include "drive/argument.h"
#include "archive/create.h"

#include "base/place.h"
#include "cow/cow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct backup {
	const struct options *options;
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
	const struct strings *arguments = &backup->options->arguments;

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
					 drive_size(backup->drives[i]), backup->report);
	}
	return 0;
}

static int prepare(struct backup *backup, struct error *err)
{
	const struct options *options = backup->options;
	struct archive *archive = backup->archive;

	if (new_archive_begin(archive, &backup->sink, options, err) < 0 ||
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
	return new_archive_write(&backup->sink, backup->archive, &feed, backup->options, err);
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
	unsigned n = backup->options->arguments.n;

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

static int backup_images(const struct options *options, struct report *report)
{
	unsigned n = options->arguments.n;
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
	    sink_open(&backup.sink, backup.archive, options, &err) < 0 ||
	    copy_drives(&backup, &err) < 0) {
		code = report_error(report, NULL, &err);
	} else {
		warn_of_changes(&backup);
		sink_summary(&backup.sink, backup.archive, report);
	}
	close_all(&backup);
	return code;
}

/* Nothing is pushed, so nothing waits in a buffer. */
static int check_pull(const struct options *options, struct error *err)
{
	if (options->pull && options->qmp == NULL)
		return fail(err, ERR_USAGE, "--pull is for --qmp SOCKET");
	if (options->pull_server != NULL && !options->pull)
		return fail(err, ERR_USAGE, "--nbd-server is for --pull");
	if (options->scratch != NULL && options->libvirt == NULL && !options->pull)
		return fail(err, ERR_USAGE, "--scratch is for --libvirt DOMAIN and --pull");
	if (options->pull &&
	    (options->buffer != UINT64_MAX || options->spill != UINT64_MAX ||
	     options->spill_dir != NULL || options->on_full != 0 || options->sync_mode != 0))
		return fail(err, ERR_USAGE,
			    "--sync, --buffer, --spill, --spill-dir and --on-full are not for "
			    "--pull");
	return 0;
}

/* Those that belong to one way of a live backup. */
static int check_way(const struct options *options, const char *way, struct error *err)
{
	bool buffered = options->serve != NULL || options->qmp != NULL;

	if (options->qmp == NULL && (options->guest_agent != NULL || options->sync_mode != 0))
		return fail(err, ERR_USAGE, "--guest-agent and --sync are for --qmp SOCKET");
	if (options->libvirt == NULL && (options->connect != NULL || options->quiesce))
		return fail(err, ERR_USAGE, "--connect and --quiesce are for --libvirt DOMAIN");
	if (check_pull(options, err) < 0)
		return err->code;
	if (!buffered && (options->buffer != UINT64_MAX || options->spill != UINT64_MAX ||
			  options->spill_dir != NULL || options->on_full != 0))
		return fail(err, ERR_USAGE,
			    "--buffer, --spill, --spill-dir and --on-full are for --serve SOCKET "
			    "and --qmp SOCKET");
	if (way == NULL && (options->drives.n > 0 || options->freeze_command != NULL ||
			    options->thaw_command != NULL || options->freeze_timeout != 0))
		return fail(err, ERR_USAGE,
			    "--drive and those that freeze are for --serve SOCKET, --qmp SOCKET "
			    "and --libvirt DOMAIN");
	if (options->scratch != NULL && options->scratch[0] != '/')
		return fail(err, ERR_USAGE, "--scratch '%.100s': must begin with a /",
			    options->scratch);
	if ((options->freeze_command == NULL) != (options->thaw_command == NULL))
		return fail(err, ERR_USAGE, "--freeze-command and --thaw-command: both are needed");
	if (options->quiesce && options->freeze_command != NULL)
		return fail(err, ERR_USAGE, "--quiesce and --freeze-command exclude each other");
	return 0;
}

static int check_folder(const char *option, const char *path, struct error *err)
{
	return path != NULL && place_has_devices(path)
		       ? fail(err, ERR_USAGE, "%s '%.100s': /dev takes no files", option, path)
		       : 0;
}

/* Options that mean something in the other kind of backup only. */
static int check_kind(const struct options *options, struct error *err)
{
	const char *way = options->serve != NULL     ? "serve"
			  : options->qmp != NULL     ? "qmp"
			  : options->libvirt != NULL ? "libvirt"
						     : NULL;

	if ((options->serve != NULL) + (options->qmp != NULL) + (options->libvirt != NULL) > 1)
		return fail(err, ERR_USAGE, "--serve, --qmp and --libvirt exclude each other");
	if (way != NULL && options->arguments.n > 0)
		return fail(err, ERR_USAGE,
			    "drive '%s': with --%s drives are chosen by --drive NAME",
			    options->arguments.items[0], way);
	if (way != NULL && (options->allow_writers || options->direct))
		return fail(err, ERR_USAGE, "--%s: not with --%s, which has the drives open",
			    options->direct ? "direct" : "allow-writers", way);
	if (check_folder("--spill-dir", options->spill_dir, err) < 0 ||
	    check_folder("--scratch", options->scratch, err) < 0)
		return err->code;
	return check_way(options, way, err);
}

int cmd_backup(const struct options *options, struct report *report)
{
	struct error err = {0};

	if (check_kind(options, &err) < 0)
		return report_error(report, NULL, &err);
	if (options->serve != NULL)
		return backup_live(options, report);
	if (options->libvirt != NULL)
		return backup_libvirt(options, report);
	if (options->pull)
		return backup_pull(options, report);
	return options->qmp != NULL ? backup_push(options, report) : backup_images(options, report);
}
