#include "archive/prune.h"
#include "base/human.h"
#include "base/json.h"
#include "base/sandbox.h"
#include "cli/groups.h"
#include "cli/say.h"

#include <limits.h>
#include <stdio.h>
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

/* ---- what is said ---- */

/* "daily, weekly", "an archive that is kept needs it" */
static const char *reason_of(const struct prune_item *item, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < KEEP_RULES; i++)
		if ((item->rules & 1u << i) != 0 && used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%s",
						 used == 0 ? "" : ", ", keep_rule_name(i));
	if (used == 0 && item->is_kept)
		snprintf(out, size, "%s",
			 item->archive->state != FOLDER_WHOLE ? "not whole"
			 : item->archive->is_protected	      ? "protected"
							      : "needed");
	return out;
}

static void put_items(const struct prune *prune, struct json_t *machines)
{
	struct json_t *machine = json_add_object(machines), *list, *one, *reasons;
	char text[HUMAN_SIZE];

	json_put_text(machine, "machine", prune->machine);
	list = json_put_array(machine, "archives");
	for (unsigned i = 0; i < prune->n; i++) {
		const struct prune_item *item = &prune->items[i];

		one = json_add_object(list);
		json_put_text(one, "archive", item->archive->file);
		json_put_text(one, "created", human_time(text, item->archive->created_ns));
		json_put_number(one, "archive_bytes", item->archive->stored_bytes);
		json_put_bool(one, "kept", item->is_kept);
		json_put_bool(one, "whole", item->archive->state == FOLDER_WHOLE);
		json_put_bool(one, "protected", item->archive->is_protected);
		json_put_bool(one, "needed", item->is_needed);
		json_put_bool(one, "merged", item->is_merged);
		reasons = json_put_array(one, "rules");
		for (unsigned rule = 0; rule < KEEP_RULES; rule++)
			if ((item->rules & 1u << rule) != 0)
				json_add_text(reasons, keep_rule_name(rule));
	}
}

static void print_items(const struct prune *prune)
{
	char when[HUMAN_SIZE], size[HUMAN_SIZE], reason[100];

	for (unsigned i = 0; i < prune->n; i++) {
		const struct prune_item *item = &prune->items[i];

		say(stdout, "%-6s  %s  %8s  %s%s%s%s\n",
		    item->is_kept     ? "keep"
		    : item->is_merged ? "merge"
				      : "remove",
		    human_local_time(when, item->archive->created_ns),
		    human_size(size, item->archive->stored_bytes), item->archive->file,
		    item->is_kept ? " (" : "", reason_of(item, reason, sizeof(reason)),
		    item->is_kept ? ")" : "");
	}
}

static void tell_end(const struct prune *prune, struct report *report)
{
	unsigned n_kept = 0, n_removed = 0;
	uint64_t bytes = 0;
	char size[HUMAN_SIZE];

	for (unsigned i = 0; i < prune->n; i++) {
		const struct prune_item *item = &prune->items[i];

		n_kept += item->is_kept;
		n_removed += !item->is_kept;
		bytes += item->is_kept ? 0 : item->archive->stored_bytes;
		if (item->archive->state != FOLDER_WHOLE)
			report_warning(report, "%s/%s: %s%s: it is left alone, with what it needs",
				       prune->options->folder, item->archive->file,
				       item->archive->state == FOLDER_LACKING
					       ? "an archive that it needs is missing or damaged"
					       : "damaged: ",
				       item->archive->why);
	}
	if (report->result == NULL)
		report_done(report, prune->machine, "%u kept, %u %s, %s", n_kept, n_removed,
			    prune->options->dry_run ? "to be removed" : "removed",
			    human_size(size, bytes));
}

/* ---- what is done ---- */

static int prune_machine(const struct prune_command *command, const char *machine,
			 struct report *report, struct json_t *machines)
{
	struct prune prune;
	struct error err = {0};
	int code = EXIT_DONE;

	if (prune_open(&prune, &command->prune, machine, &err) == 0) {
		put_items(&prune, machines);
		if (report->result == NULL &&
		    (command->prune.dry_run || command->common.report.verbose))
			print_items(&prune);
		report_flush(report);
		prune_apply(&prune, &report->watcher, &err);
	}
	if (err.code == 0)
		tell_end(&prune, report);
	else
		code = report_error(report, NULL, &err);
	prune_close(&prune);
	return code;
}

static int prune_all(const struct prune_command *command, struct report *report)
{
	struct json_t *machines = json_put_array(report->result, "machines");
	struct folder folder;
	struct error err = {0};
	int code = folder_read(&folder, command->prune.folder, &err);
	bool found = false;

	if (code != 0)
		code = report_error(report, NULL, &err);
	for (unsigned i = 0; i < folder.n && err.code == 0; i = folder_next_machine(&folder, i)) {
		const char *machine = folder.archives[i].machine;

		if (*machine == '\0' ||
		    (command->machine != NULL && strcmp(command->machine, machine) != 0))
			continue;
		found = true;
		code = exit_code_worse(code, prune_machine(command, machine, report, machines));
	}
	if (!found && command->machine != NULL && err.code == 0) {
		fail(&err, ERR_USAGE, "%s: has no archives of a machine called %s",
		     command->prune.folder, command->machine);
		code = report_error(report, NULL, &err);
	}
	folder_free(&folder);
	return code;
}

static int run(const void *given, struct report *report)
{
	struct prune_command command = *(const struct prune_command *)given;
	struct error err = {0};

	command.prune.folder = command.common.arguments.items[0];
	if (!keep_is_set(&command.prune.keep))
		fail(&err, ERR_USAGE,
		     "prune removes nothing without a rule: --keep-last, --keep-daily, ...");
	if (err.code != 0 || sandbox_enter_reading(command.prune.folder, &err) != 0)
		return report_error(report, NULL, &err);
	json_put_text(report->result, "folder", command.prune.folder);
	json_put_bool(report->result, "dry_run", command.prune.dry_run);
	return prune_all(&command, report);
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
	.groups = {{"Options", specs, 0}, {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
