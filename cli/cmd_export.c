#include "base/json.h"
#include "cli/groups.h"
#include "cli/ready.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/sources.h"
#include "device/export.h"

#include <errno.h>
#include <limits.h>

struct export_command {
	struct common_options common;
	struct export_options export;
};

static const struct export_command defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"control", 0, OPTION_TEXT, OPTION_FIELD(export_options, serve.control),
	 .argument = "[serve:]SOCKET",
	 .help = "create a control socket, for status, stop and backups of what was written"},
	{"overlay", 0, OPTION_TEXT, OPTION_FIELD(export_options, overlay), .argument = "FILE",
	 .help = "clients may write: that goes to FILE, or with 'memory' is not kept"},
	OPTION_CACHE(export_options, view.cache_bytes),
	{"cache-file", 0, OPTION_TEXT, OPTION_FIELD(export_options, view.cache_file),
	 .argument = "FILE",
	 .help = "keep there what is read of an archive that can be read only in order"},
	OPTION_PARENTS(export_options, view.folders),
	OPTIONS_END,
};

static void tell_counts(const struct report *report, const char *archive, struct export *export)
{
	struct view_counts counts = export_counts(export);

	json_put_text(report->result, "archive", archive);
	json_put_number(report->result, "decoded_extents", counts.n_decoded);
	json_put_number(report->result, "damaged_extents", counts.n_damaged);
	json_put_number(report->result, "read_bytes", counts.read_bytes);
	watcher_detail(&report->watcher,
		       "%llu extents decoded, %llu bytes of archives read, %llu extents damaged",
		       (unsigned long long)counts.n_decoded, (unsigned long long)counts.read_bytes,
		       (unsigned long long)counts.n_damaged);
}

static int run(const void *given, struct report *report)
{
	const struct export_command *command = given;
	struct export_options options = command->export;
	struct error err = {0};
	struct export *export;

	options.view.archives = command->common.arguments;
	if (options.serve.control != NULL &&
	    source_place(options.serve.control, SOURCE_SERVE, &options.serve.control, &err) < 0)
		return report_error(report, NULL, &err);
	if (!signals_taken()) {
		fail_start(&err, EAGAIN, "cannot start a thread");
		return report_error(report, NULL, &err);
	}
	if (export_open(&export, &options, &report->watcher, &err) < 0)
		return report_error(report, err.has_place ? options.view.archives.items[0] : NULL,
				    &err);
	ready_notify();
	export_wait(export);
	tell_counts(report, options.view.archives.items[0], export);
	return export_close(export, &err) < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}

const struct command command_export = {
	.name = "export",
	.usage = "ARCHIVE... --nbd PLACE [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "serve the drives of an archive over NBD, without restoring it",
	.help = "Serve the drives of an archive as NBD exports, one a drive, as they were at its\n"
		"instant; the archive is never changed. Only what is read is decoded, and every\n"
		"checksum is verified before its data goes out. The parents of an incremental\n"
		"archive are found in its folder, or given after it. Runs until SIGTERM, or\n"
		"until vmabak stop SOCKET.\n"
		"\n"
		"An archive that is compressed as a whole, as .vma.zst, or comes through a pipe\n"
		"can be read only from its beginning: with --cache-file what is read is kept.\n"
		"\n"
		"Example:\n"
		"  vmabak export web.vmab --nbd unix:web.sock\n"
		"  vmabak export web.vmab --nbd unix:web.sock --overlay tried.overlay\n"
		"  nbdcopy 'nbd+unix:///root?socket=web.sock' root.raw\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct export_command, export)},
		   {NULL, place_specs, offsetof(struct export_command, export.serve)},
		   {NULL, result_specs, 0},
		   {NULL, serving_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = UINT_MAX,
};
