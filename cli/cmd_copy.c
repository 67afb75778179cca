#include "archive/copy.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/groups.h"
#include "cli/progress.h"
#include "cli/sources.h"

struct copy_command {
	struct common_options common;
	struct copy_options copy;
};

static const struct copy_command defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"force", 0, OPTION_FLAG, OPTION_FIELD(copy_options, force),
	 .help = "overwrite an existing file, a block device or an NBD export"},
	{"rollback", 0, OPTION_FLAG, OPTION_FIELD(copy_options, rollback),
	 .help = "read the file, block device or NBD export that is there, and write only what "
		 "differs; "
		 "implies --force"},
	{"changed", 0, OPTION_TEXT, OPTION_FIELD(copy_options, changed), .argument = "LIST",
	 .help = "the same, only where this list of changes says that they may differ"},
	{"target-sums", 0, OPTION_TEXT, OPTION_FIELD(copy_options, target_sums),
	 .argument = "[NAME=]FILE",
	 .help = "the file, block device or NBD export holds drive NAME as this sums file, or "
		 "archive, has it: write only what differs from that; implies --force"},
	{"sums", 0, OPTION_TEXT, OPTION_FIELD(copy_options, sums), .argument = "FILE",
	 .help = "write the checksums of the copy to FILE, for the next --target-sums"},
	OPTION_READ_RATE(copy_options, rate),
	{"verify", 0, OPTION_CHOICE, OPTION_FIELD(copy_options, verify), .argument = "WHAT",
	 .choices = "all written",
	 .help = "read all of both again and compare them (default), or only what was written"},
	{"no-verify", 0, OPTION_FLAG, OPTION_FIELD(copy_options, no_verify),
	 .help = "do not read both again and compare them"},
	OPTION_NO_SYNC(copy_options, no_sync, "do not wait until the data is safe on disk"),
	OPTIONS_END,
};

static void tell(const struct copy_command *command, const struct copy_result *result,
		 struct report *report)
{
	char size[HUMAN_SIZE], read[HUMAN_SIZE], written[HUMAN_SIZE];

	if (result->excess_bytes > 0)
		report_note(report, "%s past the drive are left as they were",
			    human_size(size, result->excess_bytes));
	if (report->result != NULL) {
		json_put_text(report->result, "source", command->common.arguments.items[0]);
		json_put_text(report->result, "target", command->common.arguments.items[1]);
		json_put_number(report->result, "size_bytes", result->size_bytes);
		json_put_number(report->result, "read_bytes", result->read_bytes);
		json_put_number(report->result, "written_bytes", result->written_bytes);
		json_put_number(report->result, "compared_bytes", result->compared_bytes);
		json_put_real(report->result, "duration_s", progress_seconds());
		return;
	}
	report_done(
		report, command->common.arguments.items[1], "%s, %s read, %s written, %scompared",
		human_size(size, result->size_bytes), human_size(read, result->read_bytes),
		human_size(written, result->written_bytes), command->copy.no_verify ? "not " : "");
}

static int run(const void *given, struct report *report)
{
	const struct copy_command *command = given;
	const struct strings *words = &command->common.arguments;
	struct copy_options options = command->copy;
	struct copy_result result;
	struct error err = {0};

	options.source = words->items[0];
	options.target = words->items[1];
	if (source_check_path(options.source, "which mirror copies", &err) < 0 ||
	    source_check_path(options.target, "and is no target", &err) < 0 ||
	    copy_drive(&options, &result, &report->watcher, &err) < 0)
		return report_error(report, NULL, &err);
	tell(command, &result, report);
	return EXIT_DONE;
}

const struct command command_copy = {
	.name = "copy",
	.usage = "SOURCE[,...] TARGET[,...] [OPTION]...",
	.operand = "IMAGE",
	.summary = "copy a drive that nothing writes to",
	.help = "Copy a drive from an image, block device or NBD export to another one, and\n"
		"compare both. Zeros become holes. A drive that is written to is copied by\n"
		"mirror.\n"
		"\n"
		"Example:\n"
		"  vmabak copy web.qcow2 /dev/vg0/web --force\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct copy_command, copy)},
		   {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = 2,
};
