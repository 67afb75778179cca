#include "cli/commands.h"
#include "cli/sources.h"
#include "machine/serve/message.h"

#include <unistd.h>

/* The server answers when all is flushed and closed. */
struct stop_options {
	struct common_options common;
	bool force;
};

static const struct stop_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"force", 0, OPTION_FLAG, OPTION_FIELD(stop_options, force),
	 .help = "also when clients are connected or a backup runs"},
	OPTIONS_END,
};

static int stop(const char *socket, bool force, struct report *report, struct error *err)
{
	struct control_server server = {.path = socket};
	struct json_t *request, *reply;
	int code;

	if (control_connect(&server.fd, server.path, err) < 0)
		return err->code;
	request = control_request("stop");
	json_put_bool(request, "force", force);
	code = control_call(&server, request, &reply, NULL, err);
	if (code == 0 && json_member_text(reply, "warning") != NULL)
		report_warning(report, "%s; it begins anew", json_member_text(reply, "warning"));
	if (code == 0)
		json_free(reply);
	close(server.fd);
	return code;
}

static int run(const void *given, struct report *report)
{
	const struct stop_options *options = given;
	const char *socket = source_place(options->common.arguments.items[0], SOURCE_SERVE);
	struct error err = {0};

	json_put_text(report->result, "control", socket);
	return stop(socket, options->force, report, &err) < 0 ? report_error(report, NULL, &err)
							      : EXIT_DONE;
}

const struct command command_stop = {
	.name = "stop",
	.usage = "SOCKET [--force] [OPTION]...",
	.summary = "end a running serve in order",
	.help =
	"End a running serve: requests in flight are answered, drives flushed, maps closed.\n"
	"Refused while clients are connected or a backup runs, unless --force.\n"
	"\n"
	"Example:\n"
	"  vmabak stop web.sock\n",
	.run = run,
	.groups = {{"Options", specs, 0}, {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
