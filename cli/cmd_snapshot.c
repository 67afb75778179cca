#include "cli/groups.h"
#include "cli/ready.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/sources.h"
#include "machine/kinds.h"
#include "machine/serve/pulled.h"

#include <errno.h>

struct snapshot_command {
	struct common_options common;
	struct snapshot_options snapshot;
};

static const struct snapshot_command defaults = {
	.common = {COMMON_DEFAULTS},
	.snapshot = {.machine = {MACHINE_DEFAULTS, .threads = 1}},
};

static const struct option_spec specs[] = {
	{"since", 0, OPTION_TEXT, OPTION_FIELD(machine_options, since), .argument = "NAME",
	 .help = "also tell what changed since this checkpoint, as qemu:dirty-bitmap:NAME"},
	{"drive", 'd', OPTION_LIST, OPTION_FIELD(machine_options, drives),
	 .argument = "[NAME=]DRIVE",
	 .help = "only this drive; may be repeated (default: all that are written to)"},
	{"scratch", 0, OPTION_TEXT, OPTION_FIELD(machine_options, scratch), .argument = "DIR",
	 .help = "folder for what guests overwrite meanwhile (default: serve: $TMPDIR, or "
		 "/var/tmp; qemu: /var/tmp; libvirt: beside the drives)"},
	{"state", 0, OPTION_TEXT, OPTION_FIELD(machine_options, state), .argument = "DIR",
	 .help = "qemu, with --since: where the maps of what changed are kept (default: "
		 "/var/lib/vmabak/MACHINE)",
	 .sources = SOURCE_QEMU},
	{"nbd-server", 0, OPTION_TEXT, OPTION_FIELD(machine_options, qemu_server),
	 .argument = "SOCKET", .help = "qemu: the NBD server that QEMU already runs",
	 .sources = SOURCE_QEMU},
	{"connect", 0, OPTION_TEXT, OPTION_FIELD(machine_options, connect), .argument = "URI",
	 .help = "libvirt: the libvirt to connect to (default: that of virsh)",
	 .sources = SOURCE_LIBVIRT},
	OPTIONS_END,
};

extern const struct command command_snapshot;

static int check(const struct snapshot_command *command, enum source_kind kind, struct error *err)
{
	const struct machine_options *machine = &command->snapshot.machine;

	if (kind == SOURCE_DRIVES)
		return fail(err, ERR_USAGE,
			    "%s: a snapshot is of a machine that runs: serve:SOCKET, qemu:SOCKET "
			    "or libvirt:DOMAIN",
			    command->common.arguments.items[0]);
	TRY(source_check_options(&command_snapshot, command->common.given, kind, err));
	if ((machine->freeze_command == NULL) != (machine->thaw_command == NULL))
		return fail(err, ERR_USAGE, "--freeze-command and --thaw-command: both are needed");
	if (machine->quiesce != 0 && machine->freeze_command != NULL)
		return fail(err, ERR_USAGE, "--quiesce and --freeze-command exclude each other");
	if (machine->state != NULL && machine->since == NULL)
		return fail(err, ERR_USAGE, "--state needs --since");
	if (kind != SOURCE_SERVE && machine->scratch != NULL && machine->scratch[0] != '/')
		return fail(err, ERR_USAGE, "--scratch '%.100s': must begin with a /",
			    machine->scratch);
	return signals_taken() ? 0 : fail_start(err, EAGAIN, "cannot start a thread");
}

static int find_kind(enum source_kind kind, const struct machine_kind **out, struct error *err)
{
	(void)err;
	*out = kind == SOURCE_QEMU ? &machine_pull : NULL;
	if (kind != SOURCE_LIBVIRT)
		return 0;
#if HAVE_LIBVIRT
	*out = &machine_libvirt;
	return 0;
#else
	return fail(err, ERR_UNSUPPORTED, "this vmabak was built without libvirt");
#endif
}

static void tell_places(const struct snapshot_options *options, struct report *report)
{
	for (unsigned i = 0; i < options->serve.nbd.n; i++)
		report_note(report, "the snapshot is served at %s", options->serve.nbd.items[i]);
	ready_notify();
}

static int run_served(const struct snapshot_options *options, struct report *report,
		      struct error *err)
{
	struct snapshot *snapshot;
	int code;

	TRY(snapshot_open(&snapshot, options, &report->watcher, err));
	tell_places(options, report);
	code = snapshot_wait(snapshot, err);
	snapshot_close(snapshot);
	return code;
}

static int run_pulled(const struct machine_kind *kind, const struct snapshot_options *options,
		      struct report *report, struct error *err)
{
	struct pulled *pulled;
	int code;

	TRY(pulled_open(&pulled, kind, options, &report->watcher, err));
	tell_places(options, report);
	code = pulled_wait(pulled, err);
	pulled_close(pulled);
	return code;
}

static int run(const void *given, struct report *report)
{
	const struct snapshot_command *command = given;
	struct snapshot_options options = command->snapshot;
	const struct machine_kind *machine_kind;
	enum source_kind kind =
		source_of(command->common.arguments.items[0], &options.machine.place);
	struct error err = {0};
	int code;

	if (check(command, kind, &err) < 0 || find_kind(kind, &machine_kind, &err) < 0)
		return report_error(report, NULL, &err);
	code = machine_kind == NULL ? run_served(&options, report, &err)
				    : run_pulled(machine_kind, &options, report, &err);
	return code < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}

const struct command command_snapshot = {
	.name = "snapshot",
	.usage = "SOURCE --nbd PLACE [OPTION]...",
	.operand = "SOURCE",
	.summary = "serve the drives of a running machine over NBD, as they are now",
	.help = "Serve the drives of a running machine to other NBD clients, read-only and as\n"
		"they were at one instant, while the machine goes on; with --since also which\n"
		"parts changed since a checkpoint. SOURCE: serve:SOCKET, qemu:SOCKET or\n"
		"libvirt:DOMAIN. Only what the machine overwrites meanwhile is copied. Runs\n"
		"until SIGTERM; no backup of the machine can be made meanwhile.\n"
		"\n"
		"Example:\n"
		"  vmabak snapshot serve:web.sock --nbd unix:now.sock --since monday\n"
		"  nbdcopy 'nbd+unix:///root?socket=now.sock' root.raw\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct snapshot_command, snapshot.machine)},
		   {NULL, consistency_specs, offsetof(struct snapshot_command, snapshot.machine)},
		   {NULL, place_specs, offsetof(struct snapshot_command, snapshot.serve)},
		   {NULL, serving_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
