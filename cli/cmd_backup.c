/*
 * Everything that can be refused is refused before the output is created: options, names, configs,
 * drives, the limits of the format. Then the sweep over the drives feeds the writer.
 */
#include "cli/commands.h"
#include "cli/configs.h"
#include "cli/feeds.h"
#include "cli/memory.h"
#include "cli/names.h"
#include "cli/progress.h"
#include "cli/sink.h"
#include "cli/source.h"

#include "cow/cow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define VMA1_PLAIN_DATA \
	58u /* data clusters an extent without checksums gets: as the genuine writer does */
#define VMAB_DATA	64u /* as much as an extent holds: compresses best */
#define VMAB_PLAIN_DATA 16u /* what is only copied had better stay in the processor's caches */

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

static int set_time(struct archive *archive, struct error *err)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct timespec now;
	uint64_t seconds;

	if (epoch == NULL) {
		clock_gettime(CLOCK_REALTIME, &now);
		archive->created_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
		return 0;
	}
	if (!parse_number(epoch, &seconds) || seconds > INT64_MAX / 1000000000)
		return fail(err, ERR_USAGE, "SOURCE_DATE_EPOCH '%s': not a number of seconds",
			    epoch);
	archive->created_ns = (int64_t)seconds * 1000000000;
	return 0;
}

static int set_uuid(struct archive *archive, const char *text, struct error *err)
{
	if (text != NULL) {
		if (!parse_uuid(text, archive->uuid))
			return fail(err, ERR_USAGE,
				    "--uuid '%s': must be as 01234567-89ab-cdef-0123-456789abcdef, "
				    "not all zero",
				    text);
		return 0;
	}
	if (getrandom(archive->uuid, UUID_SIZE, 0) != UUID_SIZE)
		return fail_system(err, errno, "random numbers");
	/* Version 4, variant 1: RFC 9562. */
	archive->uuid[6] = (uint8_t)((archive->uuid[6] & 0x0f) | 0x40);
	archive->uuid[8] = (uint8_t)((archive->uuid[8] & 0x3f) | 0x80);
	return 0;
}

static int set_note(struct backup *backup, struct error *err)
{
	const char *note = backup->options->note;

	if (note == NULL || *note == '\0')
		return 0;
	if (backup->sink.plan.format != FORMAT_VMAB)
		return fail(err, ERR_USAGE, "--note: VMA has no room for notes, only VMAB has");
	if (strlen(note) > CONFIGS_SIZE_MAX / 16)
		return fail(err, ERR_USAGE, "--note: too long");
	backup->archive->note = (struct text){(const uint8_t *)note, (uint32_t)strlen(note)};
	return 0;
}

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

/* A drive as the format can hold it. */
static uint64_t stored_size(const struct backup *backup, uint32_t i)
{
	uint64_t size = drive_size(backup->drives[i]);

	if (backup->sink.plan.format == FORMAT_VMA1 && size % SECTOR_SIZE != 0) {
		size += SECTOR_SIZE - size % SECTOR_SIZE;
		report_detail(backup->report,
			      "drive %s: stored as %llu bytes: VMA has multiples of %u",
			      backup->arguments[i].name, (unsigned long long)size, SECTOR_SIZE);
	}
	return size;
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
		backup->archive->drives[i].size_bytes = stored_size(backup, i);
	}
	return 0;
}

static int prepare(struct backup *backup, struct error *err)
{
	const struct options *options = backup->options;
	struct archive *archive = backup->archive;

	if (sink_prepare(&backup->sink, options, err) < 0)
		return err->code;
	archive->format = backup->sink.plan.format;
	archive->cluster_checksum = backup->sink.plan.cluster_checksum;
	if (set_time(archive, err) < 0 || set_uuid(archive, options->uuid, err) < 0 ||
	    set_note(backup, err) < 0 || name_drives(backup, err) < 0 ||
	    configs_read(&options->config_files, &backup->sink, archive, err) < 0)
		return err->code;
	return open_drives(backup, err);
}

static uint32_t piece_data(const struct sink_plan *plan)
{
	if (plan->format == FORMAT_VMAB)
		return plan->level != 0 ? VMAB_DATA : VMAB_PLAIN_DATA;
	return plan->cluster_checksum == CLUSTER_UNPROTECTED ? VMA1_PLAIN_DATA : VMA1_CHECKED_DATA;
}

static int copy_drives(struct backup *backup, struct error *err)
{
	struct progress_view view = {
		.label = backup->sink.name,
		.total_bytes = archive_drive_bytes(backup->archive),
		.covered_bytes = &backup->sink.counts.covered_bytes,
		.data_bytes = &backup->sink.counts.data_bytes,
		.archive_bytes = &backup->sink.counts.written_bytes,
	};
	struct feed feed;
	int result;

	if (sweep_new(&backup->sweep, backup->drives, backup->archive->n_drives,
		      piece_data(&backup->sink.plan), err) < 0)
		return err->code;
	feed = feed_of_sweep(backup->sweep);
	progress_begin(backup->options, &view);
	result = sink_run(&backup->sink, &feed, backup->options, err);
	if (result == 0)
		result = sink_finish(&backup->sink, err);
	progress_end(result == 0);
	return result;
}

/* What was read may be from before and after a change: the archive is kept, but the user must know.
 */
static void warn_of_changes(struct backup *backup)
{
	for (uint32_t i = 0; i < backup->archive->n_drives; i++) {
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

int cmd_backup(const struct options *options, struct report *report)
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
