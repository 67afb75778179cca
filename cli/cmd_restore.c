/*
 * The order matters: plan, check, open all targets (which checks their sizes), then the first byte
 * is written. New files get their names at the very end, and when that fails half-way those that
 * were given are taken back.
 */
#include "cli/commands.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/memory.h"
#include "cli/groups.h"
#include "cli/progress.h"
#include "archive/restore_plan.h"
#include "archive/source.h"

#include "base/place.h"
#include "base/stop.h"

#include "reader/input/input.h"
#include "reader/reader.h"
#include "drive/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct restore_command {
	struct common_options common;
	struct restore_options restore;
};

static const struct restore_command defaults = {
	.common = {COMMON_DEFAULTS},
	.restore = {.directory = "."},
};

static const struct option_spec specs[] = {
	{"directory", 'C', OPTION_TEXT, OPTION_FIELD(restore_options, directory),
	 .argument = "DIR", .help = "restore into DIR, made if missing (default: .)"},
	{"drive", 'd', OPTION_LIST, OPTION_FIELD(restore_options, drives),
	 .argument = "NAME[=TARGET]",
	 .help = "restore this drive only, to TARGET if given; may be repeated; @N is the N-th "
		 "drive"},
	{"configs", 0, OPTION_FLAG, OPTION_FIELD(restore_options, configs),
	 .help = "restore configs too, even with --drive"},
	{"no-configs", 0, OPTION_FLAG, OPTION_FIELD(restore_options, no_configs),
	 .help = "do not restore configs"},
	{"force", 0, OPTION_FLAG, OPTION_FIELD(restore_options, force),
	 .help = "overwrite existing files, and allow block devices"},
	OPTION_THREADS(restore_options, threads),
	OPTION_READ_RATE(restore_options, rate),
	OPTION_NO_SYNC(restore_options, no_sync, "do not wait until the data is safe on disk"),
	OPTIONS_END,
};

struct restore {
	const struct restore_options *options;
	struct report *report;
	struct source source;
	struct restore_plan plan;
	struct target_options how;
	struct target **targets; /* one for each drive of the archive, NULL: not restored */
	struct reader_counts counts;
	bool made_directory;
	const char **created; /* borrowed from the plan: new files that have their names */
	size_t n_created;
};

static int make_directory(struct restore *restore, struct error *err)
{
	const char *path = restore->options->directory;
	struct stat found;

	if (!restore->plan.in_directory)
		return 0;
	if (lstat(path, &found) < 0 && place_check(path, err) < 0)
		return err->code;
	if (mkdir(path, 0700) == 0) {
		restore->made_directory = true;
		stop_guard_folder(path);
		return 0;
	}
	if (errno != EEXIST)
		return fail_system(err, errno, "%s", path);
	if (stat(path, &found) == 0 && !S_ISDIR(found.st_mode))
		return fail(err, ERR_USAGE, "%s: is not a folder", path);
	return 0;
}

static int open_targets(struct restore *restore, struct error *err)
{
	const struct archive *archive = restore->source.archive;
	char name[80];

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		const struct archive_drive *drive = &archive->drives[i];
		const char *path = restore->plan.drive_paths[i];
		uint64_t excess;

		if (path == NULL)
			continue;
		restore->how.format = restore->plan.drive_formats[i];
		if (target_open(&restore->targets[i], path, drive->size_bytes, &restore->how, err) <
		    0)
			return err->code;
		excess = target_excess(restore->targets[i]);
		if (excess > 0)
			report_note(restore->report,
				    "drive %s: %s is %llu bytes larger; what lies past the drive "
				    "stays as it is",
				    escape_text(name, sizeof(name), drive->name.bytes,
						drive->name.length),
				    path, (unsigned long long)excess);
	}
	return 0;
}

static int prepare(struct restore *restore, struct error *err)
{
	const struct restore_options *options = restore->options;
	const struct archive *archive;

	if (restore_plan_options(options, err) < 0 ||
	    source_open(&restore->source, options->archive, options->rate, err) < 0)
		return err->code;
	archive = restore->source.archive;
	if (archive_is_incremental(archive))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: is incremental: it holds only what changed since its parent, and "
			    "restoring a chain is not supported",
			    options->archive);
	restore->targets = memory_new(archive->n_drives, sizeof(*restore->targets));
	restore->created =
		memory_new((size_t)archive->n_drives + archive->n_configs, sizeof(char *));
	if (restore_plan_make(&restore->plan, archive, options, &restore->report->watcher, err) < 0 ||
	    make_directory(restore, err) < 0 ||
	    restore_plan_check(&restore->plan, options, err) < 0)
		return err->code;
	restore_plan_rules(&restore->plan, options->directory, NULL);
	if (open_targets(restore, err) < 0)
		return err->code;
	return sandbox_enter(&restore->plan.sandbox, err);
}

static int put_configs(struct restore *restore, struct error *err)
{
	const struct archive *archive = restore->source.archive;

	for (uint32_t i = 0; i < archive->n_configs; i++) {
		const char *path = restore->plan.config_paths[i];
		struct text data = archive->configs[i].data;
		struct stat found;
		bool is_new;

		if (path == NULL)
			continue;
		is_new = lstat(path, &found) < 0;
		if (target_put_file(path, data.bytes, data.length, &restore->how, err) < 0)
			return err->code;
		if (is_new)
			restore->created[restore->n_created++] = path;
	}
	return 0;
}

static int finish_targets(struct restore *restore, struct error *err)
{
	for (uint32_t i = 0; i < restore->source.archive->n_drives; i++) {
		if (restore->targets[i] != NULL && target_settle(restore->targets[i], err) < 0)
			return err->code;
	}
	for (uint32_t i = 0; i < restore->source.archive->n_drives; i++) {
		const char *path = restore->plan.drive_paths[i];
		struct stat found;
		bool is_new;

		if (path == NULL)
			continue;
		is_new = lstat(path, &found) < 0;
		if (target_finish(restore->targets[i], err) < 0)
			return err->code;
		if (is_new)
			restore->created[restore->n_created++] = path;
	}
	return 0;
}

static uint64_t wanted_bytes(const struct restore *restore)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < restore->source.archive->n_drives; i++) {
		if (restore->targets[i] != NULL)
			bytes += restore->source.archive->drives[i].size_bytes;
	}
	return bytes;
}

static int write_all(struct restore *restore, struct error *err)
{
	struct reader_job job = {
		.n_threads = threads_wanted(restore->options->threads),
		.targets = restore->targets,
		.seek_in = restore->source.input,
		.counts = &restore->counts,
	};
	struct progress_view view = {
		.label = restore->source.name,
		.total_bytes = wanted_bytes(restore),
		.covered_bytes = &restore->counts.covered_bytes,
		.data_bytes = &restore->counts.data_bytes,
		.archive_bytes = &restore->counts.read_bytes,
	};
	int result;

	watcher_begin(&restore->report->watcher, &view);
	result = reader_run(restore->source.reader, &job, err);
	if (result == 0)
		result = put_configs(restore, err);
	if (result == 0)
		result = finish_targets(restore, err);
	watcher_end(&restore->report->watcher, result == 0);
	return result;
}

/* Nothing new stays of a restore that failed. */
static void take_back(struct restore *restore)
{
	for (size_t i = 0; i < restore->n_created; i++)
		unlink(restore->created[i]);
}

static void close_all(struct restore *restore, bool done)
{
	uint32_t n = restore->source.archive == NULL ? 0 : restore->source.archive->n_drives;

	for (uint32_t i = 0; restore->targets != NULL && i < n; i++)
		target_close(restore->targets[i]);
	if (!done)
		take_back(restore);
	stop_guard_folder(NULL);
	if (!done && restore->made_directory)
		rmdir(restore->options->directory);
	free(restore->targets);
	free(restore->created);
	restore_plan_free(&restore->plan);
	source_close(&restore->source);
}

static void put_json(const struct restore *restore, struct json_t *result)
{
	const struct archive *archive = restore->source.archive;
	struct json_t *list, *one;

	json_put_text(result, "archive", restore->source.name);
	list = json_put_array(result, "drives");
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		if (restore->plan.drive_paths[i] == NULL)
			continue;
		one = json_add_object(list);
		json_put_bytes(one, "name", archive->drives[i].name);
		json_put_number(one, "size_bytes", archive->drives[i].size_bytes);
		json_put_text(one, "target", restore->plan.drive_paths[i]);
		json_put_number(one, "excess_bytes", target_excess(restore->targets[i]));
	}
	list = json_put_array(result, "configs");
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		if (restore->plan.config_paths[i] == NULL)
			continue;
		one = json_add_object(list);
		json_put_bytes(one, "name", archive->configs[i].name);
		json_put_number(one, "size_bytes", archive->configs[i].data.length);
		json_put_text(one, "target", restore->plan.config_paths[i]);
	}
	json_put_number(result, "archive_bytes",
			input_size(restore->source.input) != 0
				? input_size(restore->source.input)
				: input_position(restore->source.input));
	json_put_real(result, "duration_s", progress_seconds());
}

static void tell_summary(const struct restore *restore, struct report *report)
{
	double seconds = progress_seconds();
	uint64_t all = 0;
	char sizes[3][HUMAN_SIZE];

	if (report->result != NULL) {
		put_json(restore, report->result);
		return;
	}
	for (uint32_t i = 0; i < restore->source.archive->n_drives; i++) {
		if (restore->plan.drive_paths[i] != NULL)
			all += restore->source.archive->drives[i].size_bytes;
	}
	report_note(report, "%s: %u drive%s, %s, and %u config%s restored in %s, %s/s",
		    strcmp(restore->source.name, "-") == 0 ? "standard input"
							   : restore->source.name,
		    restore->plan.n_drives, restore->plan.n_drives == 1 ? "" : "s",
		    human_size(sizes[0], all), restore->plan.n_configs,
		    restore->plan.n_configs == 1 ? "" : "s", human_duration(sizes[1], seconds),
		    human_size(sizes[2], seconds > 0 ? (uint64_t)((double)all / seconds) : 0));
}

static int run(const void *given, struct report *report)
{
	const struct restore_command *command = given;
	struct restore_options named = command->restore, *options = &named;
	struct restore restore = {
		.options = options,
		.report = report,
		.how = {.force = options->force, .sync = !options->no_sync},
	};
	struct error err = {0};
	int code = EXIT_DONE;
	bool done;

	named.archive = command->common.arguments.items[0];
	done = prepare(&restore, &err) == 0 && write_all(&restore, &err) == 0;
	if (done)
		tell_summary(&restore, report);
	else
		code = report_error(report, options->archive, &err);
	close_all(&restore, done);
	return code;
}

const struct command command_restore = {
	.name = "restore",
	.usage = "ARCHIVE|- [-C DIR] [-d NAME[=TARGET]]... [OPTION]...",
	.summary = "restore drives and configs from an archive",
	.help =
	"Restore drives and configs from an archive: each drive to DIR/NAME.raw or to the TARGET\n"
	"given with --drive, each config to DIR/NAME. Zeros become holes. Every checksum is\n"
	"verified before its data is written, and new files appear only when all went well.\n"
	"\n"
	"A TARGET is a file, raw or an image by its ending or ,format=FMT, or with --force a "
	"block\n"
	"device or an NBD URI. A drive whose name is not usable as a file name is reached by its\n"
	"number: --drive @2=TARGET.\n"
	"\n"
	"Example:\n"
	"  vmabak restore web.vmab -C /var/tmp/web\n"
	"  vmabak restore web.vmab --force -d root=/dev/vg0/web\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct restore_command, restore)},
		   {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
