/*
 * The command: its options, which of them are for which source, and who makes the backup.
 */
#include "archive/open.h"
#include "cli/backup.h"
#include "cli/groups.h"
#include "cli/options.h"
#include "cli/sources.h"

#include "base/name.h"
#include "base/place.h"
#include "machine/kinds.h"

static const struct backup_options defaults = {
	.common = {COMMON_DEFAULTS},
	.machine = {MACHINE_DEFAULTS},
};

static const struct option_spec what[] = {
	{"config", 'c', OPTION_LIST, OPTION_FIELD(backup_options, config_files),
	 .argument = "[NAME=]FILE",
	 .help = "store a file with the drives, under NAME or its own name; may be repeated"},
	{"drive", 'd', OPTION_LIST, OPTION_FIELD(backup_options, machine.drives),
	 .argument = "[NAME=]DRIVE",
	 .help = "of a running machine: back up only this drive; may be repeated (default: every "
		 "writable drive)",
	 .sources = SOURCE_MACHINE},
	{"note", 0, OPTION_TEXT, OPTION_FIELD(backup_options, head.note), .argument = "TEXT",
	 .help = "store a note for people (not in VMA)"},
	{"uuid", 0, OPTION_TEXT, OPTION_FIELD(backup_options, head.uuid), .argument = "UUID",
	 .help = "uuid of the archive (default: a random one)"},
	{"parent", 0, OPTION_TEXT, OPTION_FIELD(backup_options, head.parent), .argument = "ARCHIVE",
	 .help = "store only what differs from this archive, or from the one of this sums file"},
	OPTION_PARENTS(backup_options, head.parents),
	{"sums", 0, OPTION_TEXT, OPTION_FIELD(backup_options, head.sums), .argument = "FILE",
	 .help = "write the checksums of the drives to FILE (with --parent: to ARCHIVE.sums)"},
	{"no-sums", 0, OPTION_FLAG, OPTION_FIELD(backup_options, head.no_sums),
	 .help = "with --parent: write no ARCHIVE.sums"},
	{"dedup", 0, OPTION_FLAG, OPTION_FIELD(backup_options, head.dedup),
	 .help = "VMA: write unchanged data as the same bytes each time, for borg, restic and "
		 "such"},
	{"allow-writers", 0, OPTION_FLAG, OPTION_FIELD(backup_options, machine.allow_writers),
	 .help = "back up a drive even if another program has it open for writing",
	 .sources = SOURCE_DRIVES},
	{"direct", 0, OPTION_FLAG, OPTION_FIELD(backup_options, machine.direct),
	 .help = "bypass the page cache for raw images and devices (O_DIRECT)",
	 .sources = SOURCE_DRIVES},
	{"no-holes", 0, OPTION_FLAG, OPTION_FIELD(backup_options, machine.no_holes),
	 .help = "read drives in full: do not believe what their storage says about holes",
	 .sources = SOURCE_DRIVES},
	OPTIONS_END,
};

static const struct option_spec tuning[] = {
	{"buffer", 0, OPTION_SIZE, OPTION_FIELD(machine_options, buffer), .argument = "SIZE",
	 .min = 16u << 20, .max = MACHINE_BUFFER_MAX,
	 .help = "qemu, serve: memory for data waiting to be written, from 16M (default: 64M)",
	 .sources = SOURCE_PUSH | SOURCE_SERVE},
	{"spill", 0, OPTION_SIZE, OPTION_FIELD(machine_options, spill), .argument = "SIZE",
	 .max = INT64_MAX,
	 .help = "qemu, serve: disk space for data that the memory cannot hold (default: 1G)",
	 .sources = SOURCE_PUSH | SOURCE_SERVE},
	{"spill-dir", 0, OPTION_TEXT, OPTION_FIELD(machine_options, spill_dir), .argument = "DIR",
	 .help = "qemu, serve: folder of that spill file (default: /var/tmp)",
	 .sources = SOURCE_PUSH | SOURCE_SERVE},
	{"on-full", 0, OPTION_CHOICE, OPTION_FIELD(machine_options, on_full), .argument = "ACTION",
	 .choices = "abort wait",
	 .help = "qemu, serve: when both are full, abort (default), or let the guest wait",
	 .sources = SOURCE_PUSH | SOURCE_SERVE},
	OPTIONS_END,
};

static int check_folder(const char *option, const char *path, struct error *err)
{
	return path != NULL && place_has_devices(path)
		       ? fail(err, ERR_USAGE, "%s '%.100s': no files are created in /dev", option,
			      path)
		       : 0;
}

extern const struct command command_backup;

static int check_machine(const struct machine_options *machine, struct error *err)
{
	if (*machine->place == '\0')
		return fail(err, ERR_USAGE,
			    "no name after the colon: qemu:SOCKET, libvirt:DOMAIN, "
			    "serve:SOCKET");
	if ((machine->freeze_command == NULL) != (machine->thaw_command == NULL))
		return fail(err, ERR_USAGE, "--freeze-command and --thaw-command: both are needed");
	if (machine->quiesce != 0 && machine->freeze_command != NULL)
		return fail(err, ERR_USAGE, "--quiesce and --freeze-command exclude each other");
	if (machine->scratch != NULL && machine->scratch[0] != '/')
		return fail(err, ERR_USAGE, "--scratch '%.100s': must begin with a /",
			    machine->scratch);
	TRY(check_folder("--spill-dir", machine->spill_dir, err));
	return check_folder("--scratch", machine->scratch, err);
}

static int check_drive(const char *argument, struct error *err)
{
	size_t length = name_prefix(argument);

	return length == 0 ? 0
			   : source_check_path(argument + length + 1,
					       "which takes no NAME=: --drive NAME=DRIVE names its "
					       "drives",
					       err);
}

/* The kind of source that the arguments name. */
static int find_source(struct backup_options *options, enum source_kind *kind, struct error *err)
{
	const struct strings *arguments = &options->common.arguments;

	*kind = SOURCE_DRIVES;
	for (unsigned i = 0; i < arguments->n; i++) {
		enum source_kind found = source_of(arguments->items[i], &options->machine.place);

		if (found == SOURCE_DRIVES) {
			TRY(check_drive(arguments->items[i], err));
			continue;
		}
		if (arguments->n > 1)
			return fail(err, ERR_USAGE,
				    "%s: a machine that runs is the only source of a backup; its "
				    "drives are chosen by --drive NAME",
				    arguments->items[i]);
		*kind = found;
	}
	if (*kind == SOURCE_QEMU)
		*kind = options->machine.pull ? SOURCE_PULL : SOURCE_PUSH;
	return 0;
}

static int start(const struct machine_kind *kind, const struct backup_options *options,
		 struct report *report)
{
	return options->to.folder != NULL ? backup_to(kind, options, report)
					  : backup_machine(kind, options, report);
}

static int run(const void *given, struct report *report)
{
	struct backup_options options = *(const struct backup_options *)given;
	enum source_kind kind;
	struct error err = {0};

	if (find_source(&options, &kind, &err) < 0 ||
	    source_check_options(&command_backup, options.common.given, kind, &err) < 0 ||
	    increment_choice_check(&options.increment,
				   options.head.parent != NULL || options.to.folder != NULL,
				   &err) < 0 ||
	    backup_check_chain(&options, &err) < 0 ||
	    (kind != SOURCE_DRIVES && check_machine(&options.machine, &err) < 0))
		return report_error(report, NULL, &err);
	options.machine.images = options.common.arguments;
	options.machine.track = options.track.track;
	options.machine.state = options.track.state;
	options.machine.threads = threads_wanted(options.create.threads);
	switch (kind) {
	case SOURCE_SERVE:
		return start(&machine_serve, &options, report);
	case SOURCE_LIBVIRT:
#if HAVE_LIBVIRT
		return start(&machine_libvirt, &options, report);
#else
		fail(&err, ERR_USAGE,
		     "libvirt:%.100s: this program was built without libvirt: install libvirt-dev "
		     "and libxml2-dev and build again",
		     options.machine.place);
		return report_error(report, NULL, &err);
#endif
	case SOURCE_PULL:
		return start(&machine_pull, &options, report);
	case SOURCE_PUSH:
		return start(&machine_push, &options, report);
	default:
		return start(&machine_images, &options, report);
	}
}

const struct command command_backup = {
	.name = "backup",
	.usage = "-o ARCHIVE | --to DIR --name VM [OPTION]... SOURCE...",
	.operand = "SOURCE",
	.summary = "back up drives and configs into an archive",
	.help = "Back up the drives and configuration files of a virtual machine into one\n"
		"archive.\n"
		"\n"
		"A SOURCE is a drive, as [NAME=]DRIVE[,format=FMT], of which there may be\n"
		"several, or a machine: qemu:SOCKET (its monitor, QMP; on TCP\n"
		"qemu:tcp:HOST:PORT), libvirt:DOMAIN, running or off, or serve:SOCKET (the\n"
		"control socket of a vmabak serve).\n"
		"A DRIVE is a raw image, a block device, a qcow2, vmdk, vdi or vhdx image (read\n"
		"through qemu-nbd), an NBD URI such as nbd+unix:///EXPORT?socket=PATH, or\n"
		"standard input of exactly SIZE bytes, as NAME=-,size=SIZE. Its format is\n"
		"determined by the ending of its name or by ,format=FMT, never by its content.\n"
		"An encrypted image needs ,secret=FILE. Drives without a NAME are called disk0,\n"
		"disk1 and so on.\n"
		"The archive appears under its name only when it is complete; -o - is standard\n"
		"output.\n"
		"\n"
		"Example:\n"
		"  vmabak backup -o web.vmab -c web.conf root=/dev/vg0/web data=data.qcow2\n"
		"  vmabak backup -o web.vmab libvirt:web\n",
	.run = run,
	.groups = {{"What", what, 0},
		   {"Increments", change_specs, offsetof(struct backup_options, changes)},
		   {NULL, increment_specs, offsetof(struct backup_options, increment)},
		   {NULL, track_specs, offsetof(struct backup_options, track)},
		   {"Where to", output_specs, offsetof(struct backup_options, create)},
		   {NULL, resume_specs, offsetof(struct backup_options, create)},
		   {NULL, folder_specs, offsetof(struct backup_options, to)},
		   {NULL, extent_specs, offsetof(struct backup_options, create)},
		   {"Consistency", consistency_specs, offsetof(struct backup_options, machine)},
		   {"A running machine", running_specs, offsetof(struct backup_options, machine)},
		   {"Tuning", tuning, offsetof(struct backup_options, machine)},
		   {NULL, writing_specs, offsetof(struct backup_options, create)},
		   {"Common", common_specs, 0},
		   {NULL, tape_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.max_arguments = DRIVES_MAX,
};
