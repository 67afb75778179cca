#include "cli/groups.h"
#include "base/json.h"
#include "cli/say.h"
#include "archive/open.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONFIG "qemu-server.conf"

static bool is_named(const struct archive_config *config, const char *name)
{
	return config->name.length == strlen(name) &&
	       memcmp(config->name.bytes, name, config->name.length) == 0;
}

static const struct archive_config *find_config(const struct archive *archive, const char *name)
{
	if (name == NULL && archive->n_configs == 1)
		return &archive->configs[0];
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		if (is_named(&archive->configs[i], name == NULL ? DEFAULT_CONFIG : name))
			return &archive->configs[i];
	}
	return NULL;
}

/* Neither the archive nor the call is at fault: exit code 1. */
static int not_found(const struct archive *archive, const char *name, struct error *err)
{
	char names[300] = "", one[80];
	size_t used = 0;

	for (uint32_t i = 0; i < archive->n_configs; i++) {
		struct text text = archive->configs[i].name;
		size_t length = strlen(escape_text(one, sizeof(one), text.bytes, text.length));

		if (used + length + 8 > sizeof(names)) {
			strcpy(names + used, ", ...");
			break;
		}
		used += (size_t)sprintf(names + used, "%s%s", i == 0 ? "" : ", ", one);
	}
	if (archive->n_configs == 0)
		return fail(err, ERR_SYSTEM, "the archive holds no configs");
	if (name == NULL)
		return fail(err, ERR_SYSTEM, "which config? the archive holds %s", names);
	return fail(err, ERR_SYSTEM, "no config '%s' in the archive; it holds %s", name, names);
}

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
		config = find_config(opened.archive, name);
		if (config == NULL)
			not_found(opened.archive, name, &err);
		else
			print_config(&opened, config, report);
	}
	if (err.code != 0)
		code = report_error(report, opened.name, &err);
	archive_close(&opened);
	return code;
}

const struct command command_config = {
	.name = "config",
	.usage = "ARCHIVE|- [NAME] [OPTION]...",
	.summary = "print a config of an archive",
	.help = "Print a config of an archive as it is. Without NAME: the only one, or "
		"qemu-server.conf.\n"
		"\n"
		"Example:\n"
		"  vmabak config web.vmab web.conf > web.conf\n",
	.run = run,
	.groups = {{"Options", common_specs, 0}},
	COMMAND_DEFAULTS(plain_defaults),
	.min_arguments = 1,
	.max_arguments = 2,
};
