#include "cli/groups.h"
#include "base/json.h"
#include "cli/say.h"
#include "archive/open.h"
#include "archive/select.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void print_config(const struct opened_archive *opened, const struct archive_config *config,
			 struct report *report)
{
	/* Bytes to a pipe are exact, but an archive must not steer a terminal. */
	if (report->result == NULL && isatty(STDOUT_FILENO)) {
		say_lines(stdout, config->data.bytes, config->data.length);
		return;
	}
	if (report->result == NULL) {
		fwrite(config->data.bytes, 1, config->data.length, stdout);
		return;
	}
	json_put_text(report->result, "archive", opened->name);
	json_put_bytes(report->result, "name", config->name);
	json_put_number(report->result, "size_bytes", config->data.length);
	json_put_bytes(report->result, "data", config->data);
}

static int run(const void *given, struct report *report)
{
	const struct plain_options *options = given;
	const struct strings *arguments = &options->common.arguments;
	const char *name = arguments->n > 1 ? arguments->items[1] : NULL;
	const struct archive_config *config;
	struct opened_archive opened;
	struct error err = {0};
	int code = EXIT_DONE;

	if (archive_open_alone(&opened, arguments->items[0], 0, &err) == 0) {
		if (select_config(name, opened.archive, &config, &err) == 0)
			print_config(&opened, config, report);
	}
	if (err.code != 0)
		code = report_error(report, opened.name, &err);
	archive_close(&opened);
	return code;
}

const struct command command_config = {
	.name = "config",
	.usage = "ARCHIVE [NAME] [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "print a config of an archive",
	.help = "Print a config of an archive, byte for byte. Without NAME: the only one, or\n"
		"qemu-server.conf.\n"
		"\n"
		"Example:\n"
		"  vmabak config web.vmab web.conf > web.conf\n",
	.run = run,
	.groups = {{"Options", common_specs, 0}, {NULL, tape_specs, 0}, {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(plain_defaults),
	.min_arguments = 1,
	.max_arguments = 2,
};
