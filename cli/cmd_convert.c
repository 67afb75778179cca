#include "cli/commands.h"
#include "archive/feeds.h"
#include "cli/memory.h"
#include "cli/progress.h"
#include "base/sandbox.h"
#include "archive/sink.h"
#include "archive/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct convert {
	const struct options *options;
	struct report *report;
	struct archive *archive; /* what is written; its texts are borrowed from the source */
	struct source source;
	struct sink sink;
};

static bool same_file(const struct convert *convert)
{
	struct stat found;
	const char *name = convert->sink.name;
	int result = strcmp(name, "-") == 0 ? fstat(STDOUT_FILENO, &found) : stat(name, &found);

	return result == 0 && source_is(convert->options->arguments.items[0], &found);
}

/* Whether the format can carry this config is for the format to say: it is asked about each alone.
 */
static int copy_configs(struct convert *convert, struct error *err)
{
	const struct archive *from = convert->source.archive;
	struct archive *to = convert->archive, *probe = memory_new(1, sizeof(*probe));
	int result = 0;

	memcpy(probe->uuid, from->uuid, UUID_SIZE);
	probe->format = to->format;
	probe->cluster_checksum = to->cluster_checksum;
	probe->n_configs = 1;
	for (uint32_t i = 0; i < from->n_configs && result == 0; i++) {
		struct error why = {0};

		probe->configs[0] = from->configs[i];
		result = archive_check(probe, &why);
		if (result == 0) {
			to->configs[to->n_configs++] = from->configs[i];
		} else if (result == ERR_USAGE) {
			report_warning(convert->report, "left out: %s", why.text);
			result = 0;
		} else {
			*err = why;
		}
	}
	free(probe);
	return result;
}

static void copy_drives(struct convert *convert)
{
	const struct archive *from = convert->source.archive;
	struct archive *to = convert->archive;

	to->n_drives = from->n_drives;
	for (uint32_t i = 0; i < from->n_drives; i++) {
		struct archive_drive *drive = &to->drives[i];

		*drive = from->drives[i];
		if (to->format != FORMAT_VMA1 || drive->size_bytes % SECTOR_SIZE == 0)
			continue;
		drive->size_bytes += SECTOR_SIZE - drive->size_bytes % SECTOR_SIZE;
		report_detail(convert->report,
			      "drive @%u: stored as %llu bytes: VMA has multiples of %u", i + 1,
			      (unsigned long long)drive->size_bytes, SECTOR_SIZE);
	}
}

static int copy_head(struct convert *convert, struct error *err)
{
	static const uint8_t none[UUID_SIZE];
	const struct archive *from = convert->source.archive;
	struct archive *to = convert->archive;

	to->format = convert->sink.plan.format;
	to->cluster_checksum = convert->sink.plan.cluster_checksum;
	if (to->format == FORMAT_VMA1 && archive_is_incremental(from))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: is incremental, and VMA cannot hold that; write a .vmab",
			    convert->source.name);
	if (to->format == FORMAT_VMAB && memcmp(from->uuid, none, UUID_SIZE) == 0)
		return fail(err, ERR_UNSUPPORTED, "%s: has no uuid, and VMAB demands one",
			    convert->source.name);
	memcpy(to->uuid, from->uuid, UUID_SIZE);
	memcpy(to->parent, from->parent, UUID_SIZE);
	to->created_ns = from->created_ns;
	if (to->format == FORMAT_VMAB) {
		to->note = from->note;
		to->checkpoint = from->checkpoint;
		to->parent_checkpoint = from->parent_checkpoint;
	} else if (from->note.length > 0 || from->checkpoint.length > 0) {
		report_warning(convert->report, "the %s is left out: VMA has no room for it",
			       from->note.length > 0 ? "note" : "name of the checkpoint");
	}
	copy_drives(convert);
	return copy_configs(convert, err);
}

static int copy_clusters(struct convert *convert, struct error *err)
{
	struct progress_view view = {
		.label = convert->sink.name,
		.total_bytes = archive_drive_bytes(convert->archive),
		.covered_bytes = &convert->sink.counts.covered_bytes,
		.data_bytes = &convert->sink.counts.data_bytes,
		.archive_bytes = &convert->sink.counts.written_bytes,
	};
	struct feed feed = feed_of_reader(convert->source.reader);
	int result;

	progress_begin(convert->options, &view);
	result = sink_run(&convert->sink, &feed, convert->options, err);
	if (result == 0)
		result = sink_finish(&convert->sink, err);
	progress_end(result == 0);
	return result;
}

/* All is open; the output is still to get its name. */
static int confine(const struct convert *convert, struct error *err)
{
	struct sandbox sandbox;

	sandbox_begin(&sandbox);
	sandbox_allow_file(&sandbox, convert->sink.name);
	return sandbox_enter(&sandbox, err);
}

static int run(struct convert *convert, struct error *err)
{
	const struct options *options = convert->options;
	struct options unlimited = *options;

	if (sink_prepare(&convert->sink, options, err) < 0)
		return err->code;
	if (same_file(convert))
		return fail(err, ERR_USAGE,
			    "%s: cannot be read and replaced at once; write to another name",
			    options->arguments.items[0]);
	/* --rate is for the output here. */
	unlimited.rate = 0;
	if (source_open(&convert->source, options->arguments.items[0], &unlimited, err) < 0 ||
	    copy_head(convert, err) < 0 ||
	    sink_open(&convert->sink, convert->archive, options, err) < 0 ||
	    confine(convert, err) < 0)
		return err->code;
	return copy_clusters(convert, err);
}

int cmd_convert(const struct options *options, struct report *report)
{
	struct convert convert = {
		.options = options,
		.report = report,
		.archive = memory_new(1, sizeof(struct archive)),
	};
	struct error err = {0};
	int code = EXIT_DONE;

	if (run(&convert, &err) < 0)
		code = report_error(report, options->arguments.items[0], &err);
	else
		sink_summary(&convert.sink, convert.archive, report);
	sink_close(&convert.sink);
	source_close(&convert.source);
	free(convert.archive);
	return code;
}
