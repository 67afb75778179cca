/*
 * Begin, or begin again when the head is not where it should be; then one pass over the archive,
 * the donors, and what is to be told of it all.
 */
#include "cli/commands.h"
#include "archive/donor.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/memory.h"
#include "base/parse.h"
#include "cli/groups.h"
#include "cli/progress.h"
#include "archive/rescue.h"
#include "archive/source.h"
#include "cli/say.h"

#include "reader/input/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANGES_SHOWN 20u    /* of a drive, as text */
#define RANGES_JSON  10000u /* of a drive */

struct salvage_command {
	struct common_options common;
	struct rescue_options rescue;
};

static const struct salvage_command defaults = {
	.common = {COMMON_DEFAULTS},
	.rescue = {.restore = {.directory = "."}},
};

static const struct option_spec specs[] = {
	{"directory", 'C', OPTION_TEXT, OPTION_FIELD(rescue_options, restore.directory),
	 .argument = "DIR", .help = "salvage into DIR, made if missing (default: .)"},
	{"drive", 'd', OPTION_LIST, OPTION_FIELD(rescue_options, restore.drives),
	 .argument = "NAME[=FILE]",
	 .help = "salvage this drive only, to FILE if given; may be repeated; @N is the N-th drive"},
	{"map", 0, OPTION_TEXT, OPTION_FIELD(rescue_options, map), .argument = "FILE|DIR",
	 .help = "write what was recovered of the drive, as a mapfile of ddrescue; of several "
		 "into DIR"},
	{"donor", 0, OPTION_LIST, OPTION_FIELD(rescue_options, donors),
	 .argument = "ARCHIVE|NAME=IMAGE",
	 .help = "fill holes from another archive, or an image of drive NAME, where checksums "
		 "match; may be repeated"},
	{"uuid", 0, OPTION_TEXT, OPTION_FIELD(rescue_options, uuid), .argument = "UUID",
	 .help = "look for this archive (default: the first that is met)"},
	{"configs", 0, OPTION_FLAG, OPTION_FIELD(rescue_options, restore.configs),
	 .help = "salvage configs too, even with --drive"},
	{"no-configs", 0, OPTION_FLAG, OPTION_FIELD(rescue_options, restore.no_configs),
	 .help = "do not salvage configs"},
	OPTION_READ_RATE(rescue_options, restore.rate),
	OPTION_NO_SYNC(rescue_options, restore.no_sync,
		       "do not wait until the data is safe on disk"),
	OPTIONS_END,
};

struct job {
	const struct rescue_options *options;
	struct report *report;
	const char *name; /* of the archive */
	uint8_t uuid[UUID_SIZE];
	struct input *input;
	struct salvage *salvage;
	const struct archive *archive;
	struct rescue rescue;
	struct donors *donors;
	struct error ended; /* code != 0: why the archive could not be read to its end */
	bool moved;	    /* the head is not where an archive has it */
};

/* ---- reading ---- */

static int open_input(struct job *job, struct error *err)
{
	if (input_open_damaged(&job->input, job->name, err) < 0)
		return err->code;
	if (job->options->restore.rate != 0)
		input_limit(job->input, job->options->restore.rate);
	return 0;
}

/* From the beginning again. */
static int reopen_input(struct job *job, struct error *err)
{
	if (input_size(job->input) != 0)
		return input_seek(job->input, 0, err);
	input_close(job->input);
	job->input = NULL;
	return open_input(job, err);
}

static bool can_reopen(const struct job *job)
{
	struct stat found;

	return input_size(job->input) != 0 ||
	       (strcmp(job->name, "-") != 0 && stat(job->name, &found) == 0 &&
		(S_ISREG(found.st_mode) || S_ISBLK(found.st_mode)));
}

/* The copy of the head lies at the end, and so do some of the clusters that tell sizes. */
static int find_head(struct job *job, struct error *err)
{
	job->moved = true;
	if (!can_reopen(job))
		return fail(err, ERR_DAMAGED,
			    "its head is lost, and it cannot be read twice to find the copy: save "
			    "it to a file, and salvage that");
	if (salvage_survey(job->salvage, err) < 0 || reopen_input(job, err) < 0)
		return err->code;
	salvage_again(job->salvage, job->input);
	return 0;
}

/* What is of another kind altogether is not damaged. */
static int find_begin(struct job *job, const uint8_t *uuid, struct error *err)
{
	struct error strange = {0};

	input_check(job->input, &strange);
	if (salvage_open(&job->salvage, job->input, uuid, err) == 0)
		return 0;
	if (err->code == ERR_DAMAGED && strange.code != 0)
		return fail(err, strange.code, "nothing in it proves to be part of an archive: %s",
			    strange.text);
	return err->code;
}

static int begin(struct job *job, struct error *err)
{
	const struct rescue_options *options = job->options;
	const uint8_t *uuid = options->uuid == NULL ? NULL : job->uuid;

	if (options->uuid != NULL && !parse_uuid(options->uuid, job->uuid))
		return fail(err, ERR_USAGE, "--uuid '%s': is not a uuid", options->uuid);
	if (*job->name == '\0')
		return fail(err, ERR_USAGE, "the name of an archive must not be empty");
	if (restore_plan_options(&options->restore, err) < 0 ||
	    open_input(job, err) < 0 || find_begin(job, uuid, err) < 0)
		return err->code;
	if (salvage_head(job->salvage) == SALVAGE_HEAD_LOST && find_head(job, err) < 0)
		return err->code;
	job->moved |= salvage_begin(job->salvage) > 0;
	job->archive = salvage_archive(job->salvage);
	return 0;
}

static int open_all(struct job *job, struct error *err)
{
	bool lost = salvage_head(job->salvage) == SALVAGE_HEAD_LOST;

	if (rescue_open(&job->rescue, job->archive, lost, job->options, &job->report->watcher, err) < 0)
		return err->code;
	if (job->options->donors.n > 0 &&
	    donors_open(&job->donors, &job->rescue, &job->options->donors, err) < 0)
		return err->code;
	return sandbox_enter(&job->rescue.plan.sandbox, err);
}

static int salvage_all(struct job *job, struct error *err)
{
	struct salvage_sink sink = rescue_sink(&job->rescue);
	struct progress_view view = {
		.label = job->name,
		.total_bytes = archive_drive_bytes(job->archive),
		.covered_bytes = &job->rescue.counts.covered_bytes,
		.data_bytes = &job->rescue.counts.data_bytes,
		.archive_bytes = salvage_read_at(job->salvage),
	};
	int result;

	watcher_begin(&job->report->watcher, &view);
	result = salvage_run(job->salvage, &sink, &job->ended, err);
	if (result == 0 && job->donors != NULL)
		result = donors_ask(job->donors, &job->rescue, &job->report->watcher, err);
	if (result == 0)
		result = rescue_finish(&job->rescue, job->options, err);
	watcher_end(&job->report->watcher, result == 0);
	return result;
}

/* ---- telling ---- */

static const char *head_word(const struct job *job)
{
	if (salvage_head(job->salvage) == SALVAGE_HEAD_LOST)
		return "lost";
	return job->moved ? "moved" : "found";
}

/* Calls for each lost range, at most limit. */
static void each_lost(const struct rescue *rescue, uint32_t drive, uint64_t limit,
		      void (*tell)(void *context, uint64_t offset, uint64_t size), void *context)
{
	const struct cluster_map *map = &rescue->drives[drive].map;
	uint64_t size_bytes = rescue->archive->drives[drive].size_bytes, cluster = 0, n;
	enum cluster_state state = CLUSTER_LOST;

	while (limit > 0 && (n = cluster_map_run(map, cluster, &state)) > 0) {
		uint64_t offset = cluster * CLUSTER_SIZE, left = size_bytes - offset;

		if (state == CLUSTER_LOST) {
			tell(context, offset, n * CLUSTER_SIZE < left ? n * CLUSTER_SIZE : left);
			limit--;
		}
		cluster += n;
	}
}

static void print_lost(void *context, uint64_t offset, uint64_t size)
{
	(void)context;
	say(stdout, "  lost: bytes %llu to %llu\n", (unsigned long long)offset,
	       (unsigned long long)(offset + size - 1));
}

static void add_lost(void *context, uint64_t offset, uint64_t size)
{
	struct json_t *one = json_add_object(context);

	json_put_number(one, "offset", offset);
	json_put_number(one, "size_bytes", size);
}

static void print_drive(const struct job *job, uint32_t i)
{
	static const char *const words[] = {"lost", "good", "without proof",
					    "absent, or lost with the list of what there was"};
	const struct archive_drive *drive = &job->archive->drives[i];
	char name[120], size[HUMAN_SIZE];
	struct rescue_sums sums;

	rescue_sum(&job->rescue, i, &sums);
	say(stdout, "%s: %llu bytes%s",
	       escape_text(name, sizeof(name), drive->name.bytes, drive->name.length),
	       (unsigned long long)drive->size_bytes,
	       salvage_head(job->salvage) == SALVAGE_HEAD_LOST ? " (its size is not known)" : "");
	for (unsigned n = 1; n <= 4; n++) { /* what is lost comes last */
		if (sums.bytes[n % 4] > 0)
			say(stdout, ", %s %s", human_size(size, sums.bytes[n % 4]), words[n % 4]);
		if (n == CLUSTER_GOOD && job->rescue.drives[i].donated_bytes > 0)
			say(stdout, " (%s from donors)",
			       human_size(size, job->rescue.drives[i].donated_bytes));
	}
	say(stdout, ": %s\n", job->rescue.plan.drive_paths[i]);
	each_lost(&job->rescue, i, RANGES_SHOWN, print_lost, NULL);
	if (sums.n_lost > RANGES_SHOWN)
		say(stdout, "  lost: %llu more ranges; --map has them all\n",
		       (unsigned long long)(sums.n_lost - RANGES_SHOWN));
}

static void print_result(const struct job *job)
{
	const struct salvage_totals *totals = salvage_totals(job->salvage);
	char uuid[UUID_TEXT_SIZE];

	say(stdout, "%s: %s %s, head %s, %llu section%s", job->name, archive_format_name(job->archive),
	       format_uuid(uuid, job->archive->uuid), head_word(job),
	       (unsigned long long)totals->n_sections, totals->n_sections == 1 ? "" : "s");
	if (totals->n_expected > 0)
		say(stdout, " of %llu", (unsigned long long)totals->n_expected);
	say(stdout, ", %llu damaged, %llu bytes passed over\n", (unsigned long long)totals->n_damaged,
	       (unsigned long long)totals->passed_bytes);
	for (uint32_t i = 0; i < job->archive->n_drives; i++) {
		if (job->rescue.drives[i].target != NULL)
			print_drive(job, i);
	}
}

static void put_drive(const struct job *job, uint32_t i, struct json_t *one)
{
	const struct rescue_drive *drive = &job->rescue.drives[i];
	struct rescue_sums sums;

	rescue_sum(&job->rescue, i, &sums);
	json_put_bytes(one, "name", job->archive->drives[i].name);
	json_put_number(one, "size_bytes", job->archive->drives[i].size_bytes);
	json_put_bool(one, "size_known", salvage_head(job->salvage) != SALVAGE_HEAD_LOST);
	json_put_text(one, "target", job->rescue.plan.drive_paths[i]);
	if (drive->map_path != NULL)
		json_put_text(one, "map", drive->map_path);
	else
		json_put_null(one, "map");
	json_put_number(one, "good_bytes", sums.bytes[CLUSTER_GOOD]);
	json_put_number(one, "donated_bytes", drive->donated_bytes);
	json_put_number(one, "unverified_bytes", sums.bytes[CLUSTER_UNPROVED]);
	json_put_number(one, "absent_bytes", sums.bytes[CLUSTER_ABSENT]);
	json_put_number(one, "lost_bytes", sums.bytes[CLUSTER_LOST]);
	json_put_number(one, "n_lost", sums.n_lost);
	each_lost(&job->rescue, i, RANGES_JSON, add_lost, json_put_array(one, "lost"));
}

static void put_json(const struct job *job, struct json_t *result)
{
	const struct salvage_totals *totals = salvage_totals(job->salvage);
	char uuid[UUID_TEXT_SIZE];
	struct json_t *list;

	json_put_text(result, "archive", job->name);
	json_put_number(result, "archive_bytes", totals->archive_bytes);
	json_put_text(result, "format", archive_format_name(job->archive));
	json_put_text(result, "uuid", format_uuid(uuid, job->archive->uuid));
	json_put_text(result, "head", head_word(job));
	json_put_bool(result, "tail", totals->n_expected > 0);
	json_put_number(result, "sections", totals->n_sections);
	json_put_number(result, "damaged_sections", totals->n_damaged);
	json_put_number(result, "passed_bytes", totals->passed_bytes);
	if (job->ended.code != 0)
		json_put_text(result, "read_error", job->ended.text);
	else
		json_put_null(result, "read_error");
	json_put_real(result, "duration_s", progress_seconds());
	list = json_put_array(result, "drives");
	for (uint32_t i = 0; i < job->archive->n_drives; i++) {
		if (job->rescue.drives[i].target != NULL)
			put_drive(job, i, json_add_object(list));
	}
	list = json_put_array(result, "configs");
	for (uint32_t i = 0; i < job->archive->n_configs; i++) {
		struct json_t *one;

		if (job->rescue.plan.config_paths[i] == NULL)
			continue;
		one = json_add_object(list);
		json_put_bytes(one, "name", job->archive->configs[i].name);
		json_put_number(one, "size_bytes", job->archive->configs[i].data.length);
		json_put_text(one, "target", job->rescue.plan.config_paths[i]);
	}
}

/* An incremental archive of which something is missing may have lost what nothing tells of. */
static bool is_something_lost(const struct job *job)
{
	const struct salvage_totals *totals = salvage_totals(job->salvage);
	struct rescue_sums sums;

	if (salvage_head(job->salvage) == SALVAGE_HEAD_LOST)
		return true;
	if (archive_is_incremental(job->archive) &&
	    (totals->n_damaged > 0 || totals->n_sections < totals->n_expected ||
	     totals->n_expected == 0))
		return true;
	for (uint32_t i = 0; i < job->archive->n_drives; i++) {
		if (job->rescue.drives[i].target == NULL)
			continue;
		rescue_sum(&job->rescue, i, &sums);
		if (sums.bytes[CLUSTER_LOST] > 0)
			return true;
	}
	return false;
}

static void tell_notes(struct job *job)
{
	if (salvage_head(job->salvage) == SALVAGE_HEAD_LOST)
		report_note(job->report,
			    "%s: the head is lost, and with it configs, the names of drives and "
			    "their sizes: each is called by its number, and is at least as large "
			    "as its last cluster found",
			    job->name);
	if (job->archive->cluster_checksum == CLUSTER_UNPROTECTED)
		report_note(job->report, "%s: has no checksums of data: what was had may be wrong",
			    job->name);
	if (archive_is_incremental(job->archive))
		report_note(job->report, "%s: is incremental: what its parent holds is not in it",
			    job->name);
	if (job->ended.code != 0)
		report_note(job->report, "%s: cannot be read further: %s", job->name,
			    job->ended.text);
}

static int tell(struct job *job)
{
	if (job->report->result != NULL)
		put_json(job, job->report->result);
	else if (!job->report->quiet)
		print_result(job);
	report_flush(job->report);
	if (!job->report->json)
		tell_notes(job);
	return is_something_lost(job) ? EXIT_LOST : EXIT_DONE;
}

static int run(const void *given, struct report *report)
{
	const struct salvage_command *command = given;
	struct rescue_options options = command->rescue;
	struct job job = {
		.options = &options,
		.report = report,
		.name = command->common.arguments.items[0],
	};
	struct error err = {0};
	bool done;
	int code;

	options.restore.archive = job.name;
	done = begin(&job, &err) == 0 && open_all(&job, &err) == 0 && salvage_all(&job, &err) == 0;
	code = done ? tell(&job) : report_error(report, job.name, &err);
	donors_close(job.donors);
	rescue_close(&job.rescue, done);
	salvage_free(job.salvage);
	if (job.input != NULL)
		input_close(job.input);
	return code;
}

const struct command command_salvage = {
	.name = "salvage",
	.usage = "ARCHIVE|- [-C DIR] [-d NAME[=FILE]]... [OPTION]...",
	.summary = "get what is still good out of a damaged archive",
	.help =
	"Get out of a damaged or incomplete archive every cluster that still proves good, and "
	"tell\n"
	"which bytes of which drives are lost: they are holes in the files. Drives go to\n"
	"DIR/NAME.raw, configs to DIR/NAME; no file is ever overwritten. Exit code 5 when\n"
	"something is lost.\n"
	"\n"
	"Example:\n"
	"  vmabak salvage bad.vmab -C salvaged --map salvaged\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct salvage_command, rescue)},
		   {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
