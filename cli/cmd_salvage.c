#include "archive/rescue.h"
#include "cli/groups.h"
#include "cli/sources.h"
#include "cli/tell_salvage.h"

#include <limits.h>

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
	 .argument = "DIR", .help = "salvage into DIR, made if only that is missing (default: .)"},
	{"drive", 'd', OPTION_LIST, OPTION_FIELD(rescue_options, restore.drives),
	 .argument = "NAME[=FILE]",
	 .help = "salvage this drive only, to FILE if given; may be repeated; @N is the N-th "
		 "drive"},
	{"map", 0, OPTION_TEXT, OPTION_FIELD(rescue_options, map), .argument = "FILE|DIR",
	 .help = "write a mapfile of ddrescue that shows what was recovered; with several "
		 "drives into DIR"},
	{"donor", 0, OPTION_LIST, OPTION_FIELD(rescue_options, donors),
	 .argument = "ARCHIVE|NAME=IMAGE",
	 .help = "fill lost areas from another archive, or an image of drive NAME, if checksums "
		 "match; may be repeated"},
	{"uuid", 0, OPTION_TEXT, OPTION_FIELD(rescue_options, uuid), .argument = "UUID",
	 .help = "look for this archive (default: the first one found)"},
	{"configs", 0, OPTION_FLAG, OPTION_FIELD(rescue_options, restore.configs),
	 .help = "salvage configs too, even with --drive"},
	{"no-configs", 0, OPTION_FLAG, OPTION_FIELD(rescue_options, restore.no_configs),
	 .help = "do not salvage configs"},
	OPTION_READ_RATE(rescue_options, restore.rate),
	OPTION_NO_SYNC(rescue_options, restore.no_sync,
		       "do not wait until the data is safe on disk"),
	OPTIONS_END,
};

static int run(const void *given, struct report *report)
{
	const struct salvage_command *command = given;
	struct rescue_options options = command->rescue;
	struct rescue rescue;
	struct error err = {0};
	int code = EXIT_DONE;
	bool done;

	options.restore.archive = command->common.arguments.items[0];
	options.restore.parents = (struct strings){command->common.arguments.items + 1,
						   command->common.arguments.n - 1};
	if (source_check_targets(&options.restore.drives, &err) < 0)
		return report_error(report, NULL, &err);
	done = rescue_run(&rescue, &options, &report->watcher, &err) == 0;
	if (done)
		tell_salvage(&rescue, report);
	else
		code = report_error(report, options.restore.archive, &err);
	if (done && rescue_lost_data(&rescue))
		code = EXIT_LOST;
	rescue_close(&rescue, done);
	return code;
}

const struct command command_salvage = {
	.name = "salvage",
	.usage = "ARCHIVE... [-C DIR] [-d NAME[=FILE]]... [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "recover the undamaged part of an archive",
	.help = "Recover every good cluster of a damaged or incomplete archive, and report which\n"
		"bytes of which drives are lost: they become holes in the files. Drives go to\n"
		"DIR/NAME.raw, configs to DIR/NAME; no file is ever overwritten. The exit code\n"
		"is 5 if some data is lost. ARCHIVE - is standard input.\n"
		"Of an incremental archive, what it does not hold is taken from the PARENTs that\n"
		"are named, in any order, as far as they are good.\n"
		"\n"
		"Example:\n"
		"  vmabak salvage bad.vmab -C salvaged --map salvaged\n"
		"  vmabak salvage fri.vmab thu.vmab wed.vmab -C salvaged\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct salvage_command, rescue)},
		   {NULL, common_specs, 0},
		   {NULL, tape_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = UINT_MAX,
};
