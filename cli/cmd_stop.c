#include "cli/groups.h"
#include "cli/sources.h"
#include "base/json.h"
#include "cli/report.h"
#include "machine/serve/call.h"

struct stop_options {
	struct common_options common;
	bool force;
};

static const struct stop_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"force", 0, OPTION_FLAG, OPTION_FIELD(stop_options, force),
	 .help = "even if clients are connected or a backup runs"},
	OPTIONS_END,
};

static int run(const void *given, struct report *report)
{
	const struct stop_options *options = given;
	const char *path;
	struct json_t *request, *reply;
	struct error err = {0};

	if (source_place(options->common.arguments.items[0], SOURCE_SERVE, &path, &err) < 0)
		return report_error(report, NULL, &err);
	json_put_text(report->result, "control", path);
	request = json_make("{s:s, s:b}", "execute", "stop", "force", options->force);
	if (call_once(path, request, &reply, &err) < 0)
		return report_error(report, NULL, &err);
	if (json_member_text(reply, "warning") != NULL)
		report_warning(report, "%s; the map begins anew",
			       json_member_text(reply, "warning"));
	json_free(reply);
	return EXIT_DONE;
}

const struct command command_stop = {
	.name = "stop",
	.usage = "[serve:]SOCKET [--force] [OPTION]...",
	.operand = "SOCKET",
	.summary = "stop a running vmabak serve cleanly",
	.help = "Stop a running vmabak serve: it answers requests in flight, flushes drives and\n"
		"closes maps.\n"
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
