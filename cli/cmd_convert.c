#include "cli/commands.h"
#include "archive/feeds.h"
#include "cli/memory.h"
#include "cli/groups.h"
#include "cli/summary.h"
#include "archive/create.h"
#include "base/sandbox.h"
#include "archive/sink.h"
#include "archive/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct convert_options {
	struct common_options common;
	struct sink_options sink;
};

static const struct convert_options defaults = {
	.common = {COMMON_DEFAULTS},
	.sink = {SINK_DEFAULTS},
};

struct convert {
	const struct convert_options *options;
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

	return result == 0 && source_is(convert->options->common.arguments.items[0], &found);
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
	struct feed feed = feed_of_reader(convert->source.reader);

	return new_archive_write(&convert->sink, convert->archive, &feed, &convert->report->watcher,
				 err);
}

/* All is open; the output is still to get its name. */
static int confine(const struct convert *convert, struct error *err)
{
	struct sandbox sandbox;

	sandbox_begin(&sandbox);
	sandbox_allow_file(&sandbox, convert->sink.name);
	return sandbox_enter(&sandbox, err);
}

static int convert_archive(struct convert *convert, struct error *err)
{
	const char *name = convert->options->common.arguments.items[0];

	if (sink_prepare(&convert->sink, &convert->options->sink, err) < 0)
		return err->code;
	if (same_file(convert))
		return fail(err, ERR_USAGE,
			    "%s: cannot be read and replaced at once; write to another name", name);
	/* --rate is for the output here. */
	if (source_open(&convert->source, name, 0, err) < 0 || copy_head(convert, err) < 0 ||
	    sink_open(&convert->sink, convert->archive, err) < 0 || confine(convert, err) < 0)
		return err->code;
	return copy_clusters(convert, err);
}

static int run(const void *given, struct report *report)
{
	const struct convert_options *options = given;
	struct convert convert = {
		.options = options,
		.report = report,
		.archive = memory_new(1, sizeof(struct archive)),
	};
	struct error err = {0};
	int code = EXIT_DONE;

	if (convert_archive(&convert, &err) < 0)
		code = report_error(report, options->common.arguments.items[0], &err);
	else
		sink_summary(&convert.sink, convert.archive, report);
	sink_close(&convert.sink);
	source_close(&convert.source);
	free(convert.archive);
	return code;
}

const struct command command_convert = {
	.name = "convert",
	.usage = "ARCHIVE|- [-o ARCHIVE|-] [OPTION]...",
	.summary = "write an archive again in another format",
	.help =
	"Write an archive again in another format or compression. The uuid, the time, notes and\n"
	"configs stay; every checksum is verified on the way. What VMA cannot carry is left out\n"
	"with a warning.\n"
	"\n"
	"Example:\n"
	"  vmabak convert vzdump-qemu-100.vma.zst -o web.vmab\n",
	.run = run,
	.groups = {{"Where to", output_specs, offsetof(struct convert_options, sink)},
		   {"Tuning", writing_specs, offsetof(struct convert_options, sink)},
		   {"Common", common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
