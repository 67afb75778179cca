#include "base/name.h"
#include "cli/groups.h"
#include "cli/ready.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/sources.h"
#include "machine/serve/serve.h"

#include <errno.h>

struct serve_command {
	struct common_options common;
	struct serve_options serve;
};

static const struct serve_command defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"control", 0, OPTION_TEXT, OPTION_FIELD(serve_options, control),
	 .argument = "[serve:]SOCKET",
	 .help = "create a control socket, for backup, status and stop"},
	{"read-only", 0, OPTION_FLAG, OPTION_FIELD(serve_options, read_only),
	 .help = "refuse all writes"},
	{"map", 0, OPTION_LIST, OPTION_FIELD(serve_options, maps), .argument = "[NAME=]FILE",
	 .help = "keep the map of changes of a drive in FILE; may be repeated"},
	OPTIONS_END,
};

/* --control may be written as others write it: serve:SOCKET. */
static int check_words(struct serve_options *options, struct error *err)
{
	if (options->control != NULL)
		TRY(source_place(options->control, SOURCE_SERVE, &options->control, err));
	for (unsigned i = 0; i < options->arguments.n; i++) {
		const char *argument = options->arguments.items[i];
		size_t length = name_prefix(argument);

		TRY(source_check_path(argument + length + (length > 0 ? 1 : 0),
				      "whose drives cannot be served", err));
	}
	return 0;
}

static int run(const void *given, struct report *report)
{
	const struct serve_command *command = given;
	struct serve_options options = command->serve;
	struct error err = {0};
	struct serve *serve;

	options.arguments = command->common.arguments;
	if (check_words(&options, &err) < 0)
		return report_error(report, NULL, &err);
	if (!signals_taken()) {
		fail_start(&err, EAGAIN, "cannot start a thread");
		return report_error(report, NULL, &err);
	}
	if (serve_open(&serve, &options, &report->watcher, &err) < 0)
		return report_error(report, NULL, &err);
	ready_notify();
	serve_wait(serve);
	return serve_close(serve, &err) < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}

const struct command command_serve = {
	.name = "serve",
	.usage = "--control SOCKET --nbd PLACE [OPTION]... [NAME=]DRIVE...",
	.operand = "IMAGE",
	.summary = "serve drives over NBD, for backups while they are in use",
	.help = "Serve raw images and block devices over NBD. A hypervisor that uses them from\n"
		"here can be backed up at any time: vmabak backup serve:SOCKET. Runs until\n"
		"vmabak stop SOCKET or SIGTERM. Drives without a NAME are called disk0, disk1\n"
		"and so on.\n"
		"\n"
		"Example:\n"
		"  vmabak serve --control web.sock --nbd unix:nbd.sock --map root=web.map \\\n"
		"      root=web.raw\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct serve_command, serve)},
		   {NULL, place_specs, offsetof(struct serve_command, serve)},
		   {NULL, serving_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = SERVED_MAX,
};
