#include "archive/prune.h"
#include "archive/shelf.h"
#include "base/json.h"
#include "base/sandbox.h"
#include "cli/groups.h"
#include "cli/memory.h"
#include "cli/tell_prune.h"
#include "store/store.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct prune_command {
	struct common_options common;
	const char *machine; /* NULL: all */
	struct prune_options prune;
};

static const struct prune_command defaults = {.common = {COMMON_DEFAULTS}};

#define KEEP(rule, what)                                                                       \
	{                                                                                      \
		"keep-" #rule, 0, OPTION_NUMBER, OPTION_FIELD(prune_command, prune.keep.rule), \
			.argument = "N", .max = UINT_MAX, .help = "keep " what                 \
	}

static const struct option_spec specs[] = {
	{"name", 0, OPTION_TEXT, OPTION_FIELD(prune_command, machine), .argument = "VM",
	 .help = "only the archives of this machine (default: all machines, each by itself)"},
	KEEP(last, "the last N archives"),
	KEEP(hourly, "the last archive of each of the last N hours that have any"),
	KEEP(daily, "the same of days"),
	KEEP(weekly, "the same of weeks, from Monday on"),
	KEEP(monthly, "the same of months"),
	KEEP(yearly, "the same of years"),
	{"merge", 0, OPTION_FLAG, OPTION_FIELD(prune_command, prune.merge),
	 .help = "merge what no rule keeps into the oldest archive that needs it, and remove it"},
	{"dry-run", 0, OPTION_FLAG, OPTION_FIELD(prune_command, prune.dry_run),
	 .help = "only show what would be kept and removed"},
	{"lock-wait", 0, OPTION_NUMBER, OPTION_FIELD(prune_command, prune.lock_wait),
	 .argument = "SECONDS", .max = INT_MAX,
	 .help = "how long to wait for another run for a machine (default: 0)"},
	OPTIONS_END,
};

static int prune_machine(const struct prune_command *command, struct folder *folder,
			 const char *machine, struct report *report, struct json_t *machines)
{
	struct prune prune;
	struct error err = {0};
	int code = EXIT_DONE;

	if (prune_open(&prune, &command->prune, folder, machine, &err) == 0) {
		prune_apply(&prune, &report->watcher, &err);
		prune_put(&prune, machines);
		if (report->result == NULL &&
		    (command->prune.dry_run || command->common.report.verbose))
			prune_print(&prune);
		report_flush(report);
	}
	if (err.code == 0)
		prune_tell(&prune, report);
	else
		code = report_error(report, NULL, &err);
	prune_close(&prune);
	return code;
}

/* The first machine in the order of names after this one; "": there is none. */
static void next_machine(const struct folder *folder, char name[NAME_MAX_LENGTH + 1])
{
	unsigned i = 0;

	while (i < folder->n && strcmp(folder->archives[i].machine, name) <= 0)
		i++;
	strcpy(name, i < folder->n ? folder->archives[i].machine : "");
}

static int prune_machines(const struct prune_command *command, struct folder *folder,
			  struct report *report)
{
	struct json_t *machines = json_put_array(report->result, "machines");
	char machine[NAME_MAX_LENGTH + 1] = "";
	int code = EXIT_DONE;
	bool found = false;
	struct error err = {0};

	for (next_machine(folder, machine); *machine != '\0'; next_machine(folder, machine)) {
		if (command->machine != NULL && strcmp(command->machine, machine) != 0)
			continue;
		found = true;
		code = exit_code_worse(code,
				       prune_machine(command, folder, machine, report, machines));
	}
	if (!found && command->machine == NULL && report->result == NULL)
		report_done(report, command->prune.folder, "no archives%s",
			    folder->n > 0 ? " that are named after a machine" : "");
	if (found || command->machine == NULL)
		return code;
	fail(&err, ERR_USAGE, "%s: has no archives of a machine called %s", command->prune.folder,
	     command->machine);
	return report_error(report, NULL, &err);
}

static int prune_all(const struct prune_command *command, struct report *report)
{
	struct folder folder;
	struct error err = {0};
	int code;

	if (folder_read(&folder, command->prune.folder, NULL, &err) == 0) {
		prune_tell_unknown(&folder, report);
		code = prune_machines(command, &folder, report);
	} else {
		code = report_error(report, NULL, &err);
	}
	folder_free(&folder);
	return code;
}

/* A merge into a store keeps a note of its upload, sums and parts in files. */
static int confine(const struct prune_options *options, struct error *err)
{
	if (!store_is_name(options->folder))
		return sandbox_enter_reading(options->folder, err);
	return options->dry_run ? sandbox_enter_reading(NULL, err) : 0;
}

static int run(const void *given, struct report *report)
{
	struct prune_command command = *(const struct prune_command *)given;
	struct error err = {0};
	char *folder;
	int code;

	folder = shelf_path(command.common.arguments.items[0]);
	if (folder == NULL)
		memory_give_up();
	command.prune.folder = folder;
	if (!keep_is_set(&command.prune.keep))
		fail(&err, ERR_USAGE,
		     "prune removes nothing without a rule: --keep-last, --keep-daily, ...");
	if (err.code != 0 || confine(&command.prune, &err) != 0) {
		code = report_error(report, NULL, &err);
	} else {
		json_put_text(report->result, "folder", command.prune.folder);
		json_put_bool(report->result, "dry_run", command.prune.dry_run);
		code = prune_all(&command, report);
	}
	free(folder);
	return code;
}

const struct command command_prune = {
	.name = "prune",
	.usage = "DIR --keep-... N [--keep-... N]... [OPTION]...",
	.operand = "DIR",
	.summary = "remove old archives from a folder of chains",
	.help = "Remove those archives that no rule keeps from a folder that 'backup --to'\n"
		"writes to. Rules are about each machine by itself, in local time, and count\n"
		"archives that are there: while backups fail, nothing is removed. An archive is\n"
		"also kept if one that is kept needs it, if there is a file ARCHIVE.protected,\n"
		"or if it is not whole.\n"
		"\n"
		"Example:\n"
		"  vmabak prune /backup --keep-daily 14 --keep-weekly 8 --dry-run\n",
	.run = run,
	.groups = {{"Options", specs, 0}, {NULL, common_specs, 0}, {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
