/*
 * vmabak keep COMMAND: the process that base/command.c starts, with descriptors 3, 4 and 5. It runs
 * the command that an archive is written to, and ends it when the archive is given up.
 */
#include "base/command.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "cli/signals.h"

struct keep_options {
	struct common_options common;
};

static const struct keep_options defaults = {.common = {COMMON_DEFAULTS}};

static int run(const void *given, struct report *report)
{
	const struct keep_options *options = given;
	struct error err = {0};
	int code;

	signals_outlive();
	code = command_keep(options->common.arguments.items[0], &err);
	return code < 0 ? report_error(report, NULL, &err) : code;
}

const struct command command_keeper = {
	.name = "keep",
	.usage = "COMMAND",
	.summary = "run the command that an archive is written to",
	.help = "Run the command that an archive is written to, for the command that starts it.\n",
	.run = run,
	.groups = {{NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
	.hidden = true,
};
