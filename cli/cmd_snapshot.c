#include "cli/groups.h"
#include "cli/ready.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/sources.h"
#include "machine/serve/snapshot.h"

#include <errno.h>

struct snapshot_command {
	struct common_options common;
	struct snapshot_options snapshot;
};

static const struct snapshot_command defaults = {
	.common = {COMMON_DEFAULTS},
	.snapshot = {.machine = {MACHINE_DEFAULTS}},
};

static const struct option_spec specs[] = {
	{"since", 0, OPTION_TEXT, OPTION_FIELD(snapshot_options, since), .argument = "NAME",
	 .help = "also tell what changed since this checkpoint, as qemu:dirty-bitmap:NAME"},
	{"drive", 'd', OPTION_LIST, OPTION_FIELD(snapshot_options, machine.drives),
	 .argument = "NAME", .help = "only this drive; may be repeated (default: all)"},
	{"scratch", 0, OPTION_TEXT, OPTION_FIELD(snapshot_options, machine.scratch),
	 .argument = "DIR",
	 .help = "folder of the file for what guests overwrite meanwhile (default: $TMPDIR, or "
		 "/var/tmp)"},
	{"freeze-command", 0, OPTION_TEXT, OPTION_FIELD(snapshot_options, machine.freeze_command),
	 .argument = "COMMAND", .help = "run this before the snapshot; needs --thaw-command"},
	{"thaw-command", 0, OPTION_TEXT, OPTION_FIELD(snapshot_options, machine.thaw_command),
	 .argument = "COMMAND", .help = "run this after it, even if that fails"},
	{"freeze-timeout", 0, OPTION_NUMBER, OPTION_FIELD(snapshot_options, machine.freeze_timeout),
	 .argument = "SECONDS", .min = 1, .max = 3600,
	 .help = "give up a freeze that takes longer (default: 10)"},
	OPTIONS_END,
};

static int check(const struct snapshot_command *command, const char **place, struct error *err)
{
	const struct machine_options *machine = &command->snapshot.machine;
	const char *word = command->common.arguments.items[0];

	if (source_of(word, place) != SOURCE_SERVE)
		return fail(
			err, ERR_USAGE,
			"%s: a snapshot is of a running serve:SOCKET; of others a backup can be "
			"made, and served by vmabak export",
			word);
	if ((machine->freeze_command == NULL) != (machine->thaw_command == NULL))
		return fail(err, ERR_USAGE, "--freeze-command and --thaw-command: both are needed");
	return signals_taken() ? 0 : fail_start(err, EAGAIN, "cannot start a thread");
}

static int run(const void *given, struct report *report)
{
	const struct snapshot_command *command = given;
	struct snapshot_options options = command->snapshot;
	struct snapshot *snapshot;
	struct error err = {0};
	int code;

	if (check(command, &options.machine.place, &err) < 0 ||
	    snapshot_open(&snapshot, &options, &report->watcher, &err) < 0)
		return report_error(report, NULL, &err);
	for (unsigned i = 0; i < options.serve.nbd.n; i++)
		report_note(report, "the snapshot is served at %s", options.serve.nbd.items[i]);
	ready_notify();
	code = snapshot_wait(snapshot, &err);
	snapshot_close(snapshot);
	return code < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}

const struct command command_snapshot = {
	.name = "snapshot",
	.usage = "serve:SOCKET --nbd PLACE [OPTION]...",
	.operand = "SOURCE",
	.summary = "serve the drives of a running machine over NBD, as they are now",
	.help = "Serve the drives of a running vmabak serve to other NBD clients, read-only and\n"
		"as they were at one instant, while the machine goes on; with --since also\n"
		"which parts changed since a checkpoint. Only what the machine overwrites\n"
		"meanwhile is copied. Runs until SIGTERM; no backup of the machine can be made\n"
		"meanwhile.\n"
		"\n"
		"Example:\n"
		"  vmabak snapshot serve:web.sock --nbd unix:now.sock --since monday\n"
		"  nbdcopy 'nbd+unix:///root?socket=now.sock' root.raw\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct snapshot_command, snapshot)},
		   {NULL, place_specs, offsetof(struct snapshot_command, snapshot.serve)},
		   {NULL, serving_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
