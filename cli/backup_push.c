/*
 * A backup of a running QEMU's drives: QEMU's own jobs save the old data before the guest changes
 * it, and push all of it to us; this makes an archive of it, in the order in which it comes.
 */
#include "cli/backup_push.h"

#include "cli/configs.h"
#include "cli/feeds.h"
#include "cli/hooks.h"
#include "cli/json.h"
#include "cli/live.h"
#include "cli/memory.h"
#include "cli/new_archive.h"
#include "cli/push.h"
#include "cli/qemujobs.h"
#include "cli/qmp.h"
#include "cli/report.h"
#include "cli/signals.h"

#include "cow/buffer.h"

#include <stdlib.h>
#include <string.h>

#define FREEZE_DEFAULT	10u /* seconds */
#define CONFIG_NAME	"qemu.json"
#define CONFIG_SIZE_MAX (1u << 20)

struct backup {
	const struct options *options;
	struct report *report;
	struct archive *archive;
	struct sink sink;
	struct qmp *qmp;
	struct machine machine;
	struct buffer *buffer;
	struct push *push;
	struct push_story story;
	unsigned n_leftovers; /* dead runs that were cleaned up after */
};

/* What QEMU tells of the machine, unless the user has a config of that name. */
static void add_description(struct backup *backup)
{
	struct archive *archive = backup->archive;
	struct archive_config *config = &archive->configs[archive->n_configs];
	struct json_t *all;
	char *text;

	for (uint32_t i = 0; i < archive->n_configs; i++) {
		struct text name = archive->configs[i].name;

		if (name.length == strlen(CONFIG_NAME) &&
		    memcmp(name.bytes, CONFIG_NAME, name.length) == 0)
			return;
	}
	all = machine_describe(&backup->machine, backup->qmp);
	text = json_line(all);
	json_free(all);
	if (text == NULL || strlen(text) > CONFIG_SIZE_MAX || archive->n_configs == CONFIGS_MAX) {
		report_warning(backup->report,
			       "what QEMU tells of the machine is too long, and left out");
		free(text);
		return;
	}
	config->name = (struct text){(const uint8_t *)CONFIG_NAME, strlen(CONFIG_NAME)};
	config->data = (struct text){(const uint8_t *)text, (uint32_t)strlen(text)};
	archive->n_configs++;
}

static int name_drives(struct backup *backup, struct error *err)
{
	struct archive *archive = backup->archive;
	const struct machine *machine = &backup->machine;

	if (machine->n_drives > DRIVES_MAX)
		return fail(err, ERR_USAGE, "more than %u drives", DRIVES_MAX);
	archive->n_drives = machine->n_drives;
	for (uint32_t i = 0; i < machine->n_drives; i++) {
		const struct machine_drive *drive = &machine->drives[i];
		struct stat found;

		if (drive->file != NULL && stat(drive->file, &found) == 0 &&
		    sink_is(&backup->sink, &found))
			return fail(err, ERR_USAGE, "drive %s: %.200s is what is to be written",
				    drive->name, drive->file);
		archive->drives[i].name.bytes = (const uint8_t *)drive->name;
		archive->drives[i].name.length = (uint32_t)strlen(drive->name);
		archive->drives[i].size_bytes = new_archive_size(&backup->sink, drive->name,
								 drive->size_bytes, backup->report);
	}
	return 0;
}

static int make_buffer(struct backup *backup, struct error *err)
{
	const struct options *options = backup->options;
	uint64_t size = options->buffer == UINT64_MAX ? LIVE_BUFFER : options->buffer;
	struct buffer_options how = {
		.n_chunks = (uint32_t)(size / CHUNK_SIZE),
		.spill_bytes = options->spill == UINT64_MAX ? LIVE_SPILL : options->spill,
		.spill_dir = options->spill_dir == NULL ? "/var/tmp" : options->spill_dir,
		.when_full = options->on_full == FULL_CHOICE_WAIT ? FULL_WAIT : FULL_FAIL,
	};

	return buffer_new(&backup->buffer, &how, err);
}

static int prepare(struct backup *backup, struct error *err)
{
	const struct options *options = backup->options;

	if (new_archive_begin(backup->archive, &backup->sink, options, err) < 0 ||
	    configs_read(&options->config_files, &backup->sink, backup->archive, err) < 0 ||
	    qmp_open(&backup->qmp, options->qmp, err) < 0 ||
	    leftovers_remove(backup->qmp, NULL, &backup->n_leftovers, err) < 0 ||
	    machine_read(&backup->machine, backup->qmp, err) < 0 ||
	    machine_choose(&backup->machine, &options->drives, err) < 0 ||
	    name_drives(backup, err) < 0)
		return err->code;
	add_description(backup);
	if (make_buffer(backup, err) < 0)
		return err->code;
	return sink_open(&backup->sink, backup->archive, options, err);
}

static void note(void)
{
}

/* The instant, between freeze and thaw when there are commands for that. */
static int begin(struct backup *backup, struct error *err)
{
	const struct options *options = backup->options;
	uint64_t timeout_s =
		options->freeze_timeout != 0 ? options->freeze_timeout : FREEZE_DEFAULT;
	struct error thawing = {0}, warning = {0};
	struct hooks *hooks;
	bool failed;
	int result;

	signals_end_by(note);
	if (hooks_freeze(&hooks, options->freeze_command, options->thaw_command, timeout_s, err) <
	    0)
		return err->code;
	result = push_begin(&backup->push, backup->qmp, &backup->machine, backup->buffer, options,
			    &backup->sink.counts.covered_bytes, &backup->story, err);
	if (hooks_thaw(hooks, &failed, &warning, &thawing) < 0 && result == 0) {
		*err = thawing;
		result = err->code;
	}
	if (failed)
		report_warning(backup->report, "%s", warning.text);
	return result;
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
	struct feed feed = feed_of_buffer(backup->buffer);
	int result = begin(backup, err);

	if (result < 0) {
		buffer_fail(backup->buffer, err);
		push_free(backup->push);
		backup->push = NULL;
		if (signals_noted() != 0)
			signals_end();
		return result;
	}
	result = new_archive_write(&backup->sink, backup->archive, &feed, backup->options, err);
	if (result < 0)
		result = explain(backup, err);
	push_end(backup->push);
	return result;
}

static void warn(struct backup *backup)
{
	const struct push_story *story = &backup->story;

	if (backup->n_leftovers > 0)
		report_note(backup->report, "cleaned up in QEMU after %u run%s that died",
			    backup->n_leftovers, backup->n_leftovers == 1 ? "" : "s");
	if (story->thawing[0] != '\0')
		report_warning(backup->report, "the guest may still be frozen: %s", story->thawing);
	if (story->remains[0] != '\0')
		report_warning(backup->report, "something may be left in QEMU: %s", story->remains);
}

static void put_story(const struct backup *backup, struct json_t *result)
{
	const struct push_story *story = &backup->story;
	struct json_t *capture = json_put_object(result, "capture");
	const struct buffer_counts *counts = buffer_counts(backup->buffer);

	json_put_number(capture, "instant_ms", story->instant_ms);
	json_put_number(capture, "frozen_filesystems", story->n_frozen);
	json_put_number(capture, "frozen_ms", story->frozen_ms);
	json_put_number(capture, "received_clusters", story->counts.data_clusters);
	json_put_number(capture, "repeated_clusters", story->counts.again_clusters);
	json_put_number(capture, "held_requests", story->counts.held_requests);
	json_put_number(capture, "spilled_clusters", counts->spilled_clusters);
	json_put_number(capture, "buffer_peak_bytes", counts->peak_bytes);
}

static void tell(struct backup *backup)
{
	const struct push_story *story = &backup->story;

	sink_summary(&backup->sink, backup->archive, backup->report);
	put_story(backup, backup->report->result);
	if (story->n_frozen > 0)
		report_note(backup->report,
			    "%llu file system%s of the guest stood still for %llu ms",
			    (unsigned long long)story->n_frozen, story->n_frozen == 1 ? "" : "s",
			    (unsigned long long)story->frozen_ms);
}

int backup_push(const struct options *options, struct report *report)
{
	struct error err = {0};
	int code = EXIT_DONE;
	struct backup backup = {
		.options = options,
		.report = report,
		.archive = memory_new(1, sizeof(struct archive)),
	};
	bool done = prepare(&backup, &err) == 0 && copy(&backup, &err) == 0;

	warn(&backup);
	if (done)
		tell(&backup);
	else
		code = report_error(report, NULL, &err);
	push_free(backup.push);
	sink_close(&backup.sink);
	buffer_free(backup.buffer);
	machine_free(&backup.machine);
	qmp_close(backup.qmp);
	configs_free(backup.archive);
	free(backup.archive);
	return code;
}
