#include "archive/convert.h"
#include "cli/groups.h"
#include "cli/summary.h"

#include <limits.h>

struct convert_options {
	struct common_options common;
	struct create_options create;
	struct strings folders;
};

static const struct convert_options defaults = {
	.common = {COMMON_DEFAULTS},
};

static const struct option_spec specs[] = {
	OPTION_PARENTS(convert_options, folders),
	OPTIONS_END,
};

static int run(const void *given, struct report *report)
{
	const struct convert_options *options = given;
	const struct strings *names = &options->common.arguments;
	struct convert convert;
	struct error err = {0};
	int code = EXIT_DONE;

	if (convert_run(&convert, names, &options->folders, &options->create, &report->watcher,
			&err) < 0)
		code = report_error(report, names->items[0], &err);
	else
		summary_tell(convert.made, report);
	convert_close(&convert);
	return code;
}

const struct command command_convert = {
	.name = "convert",
	.usage = "ARCHIVE... -o ARCHIVE [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "rewrite an archive in another format",
	.help = "Rewrite an archive in another format or compression. The uuid, the time, notes\n"
		"and configs are kept; every checksum is verified on the way. Information that\n"
		"VMA cannot store is left out with a warning. ARCHIVE - is standard input or\n"
		"standard output. An incremental archive becomes a full VMA with its parents,\n"
		"found in its folder or given after it. Parents that are given are merged into a\n"
		"VMAB, too.\n"
		"\n"
		"Example:\n"
		"  vmabak convert vzdump-qemu-100.vma.zst -o web.vmab\n",
	.run = run,
	.groups = {{"From where", specs, 0},
		   {"Where to", output_specs, offsetof(struct convert_options, create)},
		   {NULL, extent_specs, offsetof(struct convert_options, create)},
		   {"Tuning", writing_specs, offsetof(struct convert_options, create)},
		   {"Common", common_specs, 0},
		   {NULL, tape_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = UINT_MAX,
};
