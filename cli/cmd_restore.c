#include "archive/restore.h"
#include "base/human.h"
#include "base/json.h"
#include "base/name.h"
#include "cli/define.h"
#include "cli/groups.h"
#include "cli/live.h"
#include "cli/progress.h"
#include "cli/sources.h"
#include "cli/summary.h"

#include <limits.h>
#include <stdio.h>

struct restore_command {
	struct common_options common;
	struct restore_options restore;
	struct define_options define;
	struct live_choice live;
};

static const struct restore_command defaults = {
	.common = {COMMON_DEFAULTS},
	.restore = {.directory = "."},
};

static const struct option_spec specs[] = {
	{"directory", 'C', OPTION_TEXT, OPTION_FIELD(restore_options, directory), .argument = "DIR",
	 .help = "restore into DIR, created if its parent exists (default: .)"},
	{"drive", 'd', OPTION_LIST, OPTION_FIELD(restore_options, drives),
	 .argument = "NAME[=TARGET]",
	 .help = "restore this drive only, to TARGET if given; may be repeated; @N is the N-th "
		 "drive"},
	{"configs", 0, OPTION_FLAG, OPTION_FIELD(restore_options, configs),
	 .help = "restore configs too, even with --drive"},
	{"no-configs", 0, OPTION_FLAG, OPTION_FIELD(restore_options, no_configs),
	 .help = "do not restore configs"},
	{"force", 0, OPTION_FLAG, OPTION_FIELD(restore_options, force),
	 .help = "overwrite existing files, block devices and NBD exports"},
	OPTION_PARENTS(restore_options, folders),
	{"rollback", 0, OPTION_FLAG, OPTION_FIELD(restore_options, rollback),
	 .help = "read the files or block devices that are there, and write only what differs; "
		 "implies --force"},
	{"resume", 0, OPTION_FLAG, OPTION_FIELD(restore_options, resume),
	 .help = "keep what is written if this breaks off, and write only what is missing or "
		 "differs in what is kept"},
	OPTION_THREADS(restore_options, threads),
	OPTION_READ_RATE(restore_options, rate),
	OPTION_NO_SYNC(restore_options, no_sync, "do not wait until the data is safe on disk"),
	OPTIONS_END,
};

static const struct option_spec define_specs[] = {
	{"define", 0, OPTION_FLAG, OPTION_FIELD(define_options, wanted),
	 .help = "define the domain with the restored drives, by libvirt.xml of the archive"},
	{"name", 0, OPTION_TEXT, OPTION_FIELD(define_options, name), .argument = "NEW",
	 .help = "as another domain, with this name, a new UUID and new MAC addresses"},
	{"connect", 0, OPTION_TEXT, OPTION_FIELD(define_options, connect), .argument = "URI",
	 .help = "which libvirt to connect to, such as qemu:///session (default: that of virsh)"},
	OPTIONS_END,
};

static void put_json(const struct restore *restore, struct json_t *result)
{
	const struct archive *archive = restore->opened.archive;
	struct json_t *list, *one;

	json_put_text(result, "archive", restore->opened.name);
	list = json_put_array(result, "drives");
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		if (restore->plan.drive_paths[i] == NULL)
			continue;
		one = json_add_object(list);
		json_put_bytes(one, "name", archive->drives[i].name);
		json_put_number(one, "size_bytes", archive->drives[i].size_bytes);
		json_put_text(one, "target", restore->plan.drive_paths[i]);
		json_put_number(one, "excess_bytes", target_excess(restore->targets[i]));
	}
	summary_put_configs(&restore->plan, result);
	json_put_number(result, "archive_bytes", restore_archive_bytes(restore));
	json_put_number(result, "written_bytes", restore_written_bytes(restore));
	json_put_real(result, "duration_s", progress_seconds());
}

/* What there is none of is left out. */
static void tell_summary(const struct restore *restore, struct report *report)
{
	uint32_t n_drives = restore->plan.n_drives, n_configs = restore->plan.n_configs;
	char drives[80] = "", configs[80] = "", written[80] = "", sizes[2][HUMAN_SIZE];

	if (report->result != NULL) {
		put_json(restore, report->result);
		return;
	}
	if (n_drives > 0)
		snprintf(drives, sizeof(drives), "%u drive%s (%s)", n_drives,
			 n_drives == 1 ? "" : "s",
			 human_size(sizes[0], restore_drive_bytes(restore)));
	if (n_configs > 0)
		snprintf(configs, sizeof(configs), "%s%u config%s", n_drives > 0 ? " and " : "",
			 n_configs, n_configs == 1 ? "" : "s");
	if (restore->options->rollback || restore->options->resume)
		snprintf(written, sizeof(written), ", %s written,",
			 human_size(sizes[0], restore_written_bytes(restore)));
	report_done(report, restore->opened.name, "%s%s restored%s in %s",
		    n_drives + n_configs > 0 ? drives : "nothing", configs, written,
		    human_duration(sizes[1], progress_seconds()));
}

static int restore(const struct restore_command *command, struct restore *out,
		   const struct restore_options *options, struct report *report,
		   struct define **define)
{
	struct error err = {0};

	if (restore_open(out, options, &report->watcher, &err) < 0 ||
	    (command->define.wanted && define_open(define, &command->define, out, &err) < 0) ||
	    restore_run(out, &err) < 0)
		return report_error(report, options->archive, &err);
	return EXIT_DONE;
}

/* What is restored stays, also if the domain cannot be defined. */
static int define_domain(struct define *define, struct report *report)
{
	struct error err = {0};

	if (define == NULL)
		return EXIT_DONE;
	if (define_run(define, &err) < 0)
		return report_error(report, NULL, &err);
	define_tell(define, report);
	return EXIT_DONE;
}

static bool goes_to_stdout(const struct restore_options *options)
{
	for (unsigned i = 0; i < options->drives.n; i++) {
		if (has_ending(options->drives.items[i], "=-"))
			return true;
	}
	return false;
}

static int run(const void *given, struct report *report)
{
	const struct restore_command *command = given;
	struct restore_options options = command->restore;
	struct define_options definition = command->define;
	struct live_choice live = command->live;
	struct restore restored = {0};
	struct define *define = NULL;
	struct error err = {0};
	bool done;
	int code;

	options.archive = command->common.arguments.items[0];
	options.parents = (struct strings){command->common.arguments.items + 1,
					   command->common.arguments.n - 1};
	options.force |= options.rollback;
	if (live_is_libvirt(&live)) {
		live.connect = definition.connect;
		definition.connect = NULL;
	}
	if (source_check_targets(&options.drives, &err) < 0 ||
	    live_check(&live, &options, definition.wanted, &err) < 0 ||
	    define_check(&definition, &options, &err) < 0)
		return report_error(report, NULL, &err);
	if (live.machine != NULL)
		return live_restore(&live, &options, &command->common.arguments, report);
	if (goes_to_stdout(&options)) {
		report_use(report, &command->common.report, "-");
		if (progress_check(&command->common.report.progress, "-", &err) < 0)
			return report_error(report, NULL, &err);
	}
	code = restore(command, &restored, &options, report, &define);
	done = code == EXIT_DONE;
	if (done) {
		tell_summary(&restored, report);
		code = define_domain(define, report);
	}
	restore_close(&restored, done);
	define_close(define);
	return code;
}

const struct command command_restore = {
	.name = "restore",
	.usage = "ARCHIVE... [-C DIR] [-d NAME[=TARGET]]... [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "restore drives and configs from an archive",
	.help = "Restore drives and configs from an archive: each drive to DIR/NAME.raw or to\n"
		"the TARGET given with --drive, each config to DIR/NAME. Zeros become holes.\n"
		"Every checksum is verified before its data is written, and new files appear\n"
		"only if everything succeeded. ARCHIVE - is standard input. The parents of an\n"
		"incremental archive are found in its folder, or given after it.\n"
		"\n"
		"A TARGET is a file, raw or an image by its ending or ,format=FMT, or with\n"
		"--force a block device or an NBD URI. Options of an image follow its name, such\n"
		"as ,cluster_size=2M. A drive whose name is not usable as a file name can be\n"
		"named by its number: --drive @2=TARGET. TARGET - is standard output, for one\n"
		"drive of a VMAB archive in a file.\n"
		"\n"
		"With --rollback drives that are there are read, and only clusters that differ\n"
		"are written: quick and gentle where little changed since the backup.\n"
		"\n"
		"With --live the machine runs at once: each drive is served over NBD, what the\n"
		"machine writes goes to the new file, which is filled meanwhile, and then the\n"
		"machine moves to it. Interrupted, the same command goes on. A domain of libvirt\n"
		"is defined and started by the command.\n"
		"\n"
		"With --define, a domain of libvirt that was backed up as libvirt:DOMAIN is\n"
		"defined again. Parts of its definition that name files, devices or programs\n"
		"of the host, other than what was restored, are left out with a warning.\n"
		"\n"
		"Example:\n"
		"  vmabak restore web.vmab -C /var/tmp/web\n"
		"  vmabak restore web.vmab --force -d root=/dev/vg0/web\n"
		"  vmabak restore web.vmab --rollback -d root=/dev/vg0/web\n"
		"  vmabak restore web.vmab -C /var/lib/libvirt/images/web2 --define --name web2\n"
		"  vmabak restore web.vmab -d root=/new/root.raw --live qemu:web.qmp \\\n"
		"    --nbd unix:web.nbd\n"
		"  vmabak restore web.vmab -C /var/lib/libvirt/images/web --live libvirt:web\n"
		"  set -o pipefail\n"
		"  vmabak restore web.vmab -d root=- | ssh host 'dd of=/dev/vg0/web bs=1M'\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct restore_command, restore)},
		   {"A domain of libvirt", define_specs, offsetof(struct restore_command, define)},
		   {"While the machine runs", live_specs, offsetof(struct restore_command, live)},
		   {NULL, place_specs, offsetof(struct restore_command, live.serve)},
		   {"Common", common_specs, 0},
		   {NULL, tape_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = UINT_MAX,
};
