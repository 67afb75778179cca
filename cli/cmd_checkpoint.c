#include "base/json.h"
#include "cli/groups.h"
#include "cli/checkpoint_task.h"
#include "cli/report.h"
#include "cli/tell_checkpoints.h"

#include <string.h>

static const struct checkpoint_command defaults = {
	.common = {COMMON_DEFAULTS},
	.machine = {MACHINE_DEFAULTS, .threads = 1},
	.moving = {CHECKPOINT_MOVING_DEFAULTS},
};

static const struct option_spec deleting[] = {
	{"force", 0, OPTION_FLAG, OPTION_FIELD(checkpoint_command, force),
	 .help = "delete: also the latest one of a backup"},
	OPTIONS_END,
};

static const struct option_spec freezing[] = {
	{"state", 0, OPTION_TEXT, OPTION_FIELD(machine_options, state), .argument = "DIR",
	 .help = "qemu: where the maps of what changed are kept (default: "
		 "/var/lib/vmabak/MACHINE)"},
	{"connect", 0, OPTION_TEXT, OPTION_FIELD(machine_options, connect), .argument = "URI",
	 .help = "libvirt: the libvirt to connect to (default: that of virsh)"},
	{"freeze-command", 0, OPTION_TEXT, OPTION_FIELD(machine_options, freeze_command),
	 .argument = "COMMAND",
	 .help = "create: run this before the instant; needs --thaw-command"},
	{"thaw-command", 0, OPTION_TEXT, OPTION_FIELD(machine_options, thaw_command),
	 .argument = "COMMAND", .help = "create: run this after it, even if that fails"},
	{"freeze-timeout", 0, OPTION_NUMBER, OPTION_FIELD(machine_options, freeze_timeout),
	 .argument = "SECONDS", .min = 1, .max = 3600,
	 .help = "create: give up a freeze that takes longer (default: 10)"},
	OPTIONS_END,
};

static int run_list(struct task *task, struct error *err)
{
	(void)err;
	tell_checkpoints(&task->list, task->report->result);
	return 0;
}

static int run_size(struct task *task, struct error *err)
{
	return tell_changed(&task->list, task->name, task->report->result, err);
}

/* ---- create and delete ---- */

static int run_create(struct task *task, struct error *err)
{
	const struct machine_options *machine = &task->command->machine;

	if ((machine->freeze_command == NULL) != (machine->thaw_command == NULL))
		return fail(err, ERR_USAGE, "--freeze-command and --thaw-command: both are needed");
	if (task->kind->create == NULL)
		return fail(err, ERR_USAGE,
			    "%s: an instant without a backup needs the machine of a "
			    "serve:SOCKET or qemu:SOCKET",
			    machine->place);
	TRY(task->kind->create(task->source, task->name, err));
	json_put_text(task->report->result, "checkpoint", task->name);
	return 0;
}

/* Increments find what changed by their archives' tokens, and need no name; others read bitmaps by
 * it. */
static int run_delete(struct task *task, struct error *err)
{
	const struct checkpoint_line *latest = checkpoint_latest(&task->list, true);

	if (!task->command->force && latest != NULL && strcmp(latest->it.name, task->name) == 0)
		return fail(
			err, ERR_SYSTEM,
			"checkpoint %s: is that of the latest backup, from which readers of its "
			"bitmap go on; --force deletes it",
			task->name);
	TRY(task->kind->remove(task->source, task->name, err));
	json_put_text(task->report->result, "checkpoint", task->name);
	return 0;
}

/* ---- the command ---- */

static const struct action {
	const char *word;
	unsigned min, max; /* words before the last one */
	const char *words; /* which they are, and the last */
	bool lists;	   /* it needs the list */
	int (*run)(struct task *task, struct error *err);
} actions[] = {
	{"list", 0, 0, "SOURCE", true, run_list},
	{"create", 1, 1, "NAME and SOURCE", false, run_create},
	{"delete", 1, 1, "NAME and SOURCE", true, run_delete},
	{"size", 0, 1, "NAME, which may be left out, and SOURCE", true, run_size},
	{"export", 0, 1, "NAME, which may be left out, and SOURCE", true, checkpoint_export},
	{"import", 1, 1, "FILE and SOURCE", true, checkpoint_import},
	{"send", 0, 1, "NAME, which may be left out, and SOURCE", true, checkpoint_send},
	{"receive", 0, 0, "SOURCE", true, checkpoint_receive},
	{"rebuild", 0, 0, "SOURCE", true, checkpoint_rebuild},
	{"migrate", 1, 2, "NAME, which may be left out, SOURCE and SOURCE", true,
	 checkpoint_migrate},
};

static const struct action *find_action(const struct strings *words)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].word, words->items[0]) == 0)
			return &actions[i];
	}
	return NULL;
}

static int act(struct task *task, const struct action *action, struct error *err)
{
	struct machine_options machine = task->command->machine;
	const struct strings *words = &task->command->common.arguments;
	struct checkpoint_command own = *task->command;
	int code;

	TRY(checkpoint_find_kind(words->items[words->n - (task->to == NULL ? 1 : 2)], &machine,
				 &task->kind, err));
	own.machine = machine;
	task->command = &own;
	TRY(task->kind->open(&task->source, &machine, &task->report->watcher, err));
	code = action->lists ? task->kind->list(task->source, &task->list, err) : 0;
	if (code == 0)
		code = action->run(task, err);
	task->kind->close(task->source);
	checkpoint_list_free(&task->list);
	return code;
}

static int run(const void *given, struct report *report)
{
	const struct checkpoint_command *command = given;
	const struct strings *words = &command->common.arguments;
	const struct action *action = find_action(words);
	struct task task = {.command = command, .report = report};
	struct error err = {0};

	if (action == NULL)
		fail(&err, ERR_USAGE,
		     "'%.60s': must be list, create, delete, size, rebuild, export, import, send, "
		     "receive or migrate",
		     words->items[0]);
	else if (words->n < action->min + 2 || words->n > action->max + 2)
		fail(&err, ERR_USAGE, "checkpoint %s: needs %s", action->word, action->words);
	if (err.code != 0)
		return report_error(report, NULL, &err);
	if (action->run == checkpoint_migrate)
		task.to = words->items[words->n - 1];
	task.name = words->n == (task.to == NULL ? 3 : 4) ? words->items[1] : NULL;
	return act(&task, action, &err) < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}

const struct command command_checkpoint = {
	.name = "checkpoint",
	.usage = "ACTION [NAME] SOURCE [OPTION]...",
	.operand = "SOURCE",
	.summary = "name instants of a machine, and tell what changed since",
	.help = "List, create and delete the checkpoints of a running vmabak serve, of a QEMU\n"
		"or a domain of libvirt that runs, or of the file of a map that is not in use,\n"
		"or a folder of such, and tell how much changed since one: without NAME since\n"
		"the latest. Each backup makes one, called as its archive's uuid; of QEMU and\n"
		"libvirt with --track, and of libvirt called vmabak-UUID.\n"
		"\n"
		"Actions: list; size [NAME]; create NAME; delete NAME; rebuild --parent ARCHIVE,\n"
		"which compares the drives with an archive, so that increments go on from it;\n"
		"export [NAME] -o FILE; import FILE; send [NAME] to standard output, receive\n"
		"from standard input; migrate [NAME] FROM TO. The last five take what changed\n"
		"to the map of the same drives elsewhere, as when a machine has moved.\n"
		"\n"
		"Example:\n"
		"  vmabak checkpoint size serve:web.sock\n",
	.run = run,
	.groups = {{"Options", deleting, 0},
		   {NULL, freezing, offsetof(struct checkpoint_command, machine)},
		   {NULL, checkpoint_move_specs, offsetof(struct checkpoint_command, moving)},
		   {NULL, checkpoint_rebuild_specs,
		    offsetof(struct checkpoint_command, rebuilding)},
		   {NULL, common_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = 4,
};
