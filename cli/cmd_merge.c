#include "archive/merge.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/groups.h"
#include "cli/summary.h"

#include <limits.h>
#include <stdlib.h>

struct merge_command {
	struct common_options common;
	struct create_options create;
	struct strings folders;
};

static const struct merge_command defaults = {
	.common = {COMMON_DEFAULTS},
};

static const struct option_spec specs[] = {
	OPTION_PARENTS(merge_command, folders),
	OPTIONS_END,
};

static int run(const void *given, struct report *report)
{
	const struct merge_command *command = given;
	const struct strings *names = &command->common.arguments;
	const struct strings more = {names->items + 1, names->n - 1};
	struct merge_options options = {.create = command->create};
	struct merge merge = {0};
	struct error err = {0};
	int code = EXIT_DONE;

	if (!strings_join(&options.archives, names->items[0], &more, &command->folders))
		fail_memory(&err);
	if (err.code != 0 || merge_run(&merge, &options, &report->watcher, &err) < 0) {
		code = report_error(report, NULL, &err);
	} else {
		summary_tell(&merge.create, report);
		json_put_number(report->result, "n_archives", merge.chain.n);
		json_put_number(report->result, "copied_clusters", merge.n_copied);
	}
	merge_close(&merge);
	free(options.archives.items);
	return code;
}

const struct command command_merge = {
	.name = "merge",
	.usage = "ARCHIVE... -o ARCHIVE [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "make an incremental archive and its parents one archive",
	.help = "Make an incremental archive and its parents one archive, which takes its place:\n"
		"it shows the same instant and has the same uuid, so that later increments find\n"
		"their parent. Of one ARCHIVE all parents are found in its folder, and the\n"
		"result is full. Of several, the newest first, only these are merged; if the\n"
		"oldest is incremental, so is the result. - is standard input, read once as\n"
		"pipes are.\n"
		"\n"
		"What did not change is copied as it is stored; --compress packs all again.\n"
		"\n"
		"Example:\n"
		"  vmabak merge friday.vmab -o full.vmab\n"
		"  vmabak merge friday.vmab thursday.vmab -o two-days.vmab\n",
	.run = run,
	.groups = {{"From where", specs, 0},
		   {"Where to", output_specs, offsetof(struct merge_command, create)},
		   {"Tuning", writing_specs, offsetof(struct merge_command, create)},
		   {"Common", common_specs, 0},
		   {NULL, tape_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = UINT_MAX,
};
