#include "cli/commands.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "cli/signals.h"

#include "base/changer.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Every target and drive takes a descriptor or two; the soft limit is usually 1024. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Whether --json is given to a command that has it, even if the options cannot be parsed. */
static bool wants_json(const struct command *command, int argc, char **argv)
{
	struct option_use uses[OPTIONS_MAX];
	unsigned n = options_list(command, uses);

	while (n > 0 && strcmp(uses[n - 1].spec->name, "json") != 0)
		n--;
	if (n == 0)
		return false;
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--json") == 0)
			return true;
	}
	return false;
}

/* The endpoint of a store has none, and says so. */
static int hide_secrets(int argc, char **argv, struct error *err)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i - 1], "--s3-endpoint") != 0)
			TRY(store_hide_secrets(argv[i], err));
	}
	return 0;
}

static int usage_error(struct report *report, const char *verb, const struct error *err)
{
	int code = report_error(report, NULL, err);

	if (!report->text_off)
		say(stderr, "try 'vmabak help%s%s'\n", verb == NULL ? "" : " ",
		    verb == NULL ? "" : verb);
	return report_end(report, code);
}

static int run(const struct command *command, int argc, char **argv)
{
	void *options = memory_new(1, command->options_size);
	struct common_options *common = options;
	struct report report;
	struct error err = {0};
	int code;

	report_begin(&report, command->name, wants_json(command, argc, argv));
	code = hide_secrets(argc, argv, &err);
	if (code == 0)
		code = options_parse(command, argc, argv, options, &err);
	report_use(&report, &common->report, options_output(command, options));
	common->commands = commands;
	if (code < 0) {
		code = usage_error(&report, command->name, &err);
	} else if (common->help) {
		report.no_document = true;
		help_print(command, commands);
		code = report_end(&report, EXIT_DONE);
	} else if (progress_check(&common->report.progress, options_output(command, options),
				  &err) < 0) {
		code = report_end(&report, report_error(&report, NULL, &err));
	} else {
		store_set_endpoint(common->s3_endpoint);
		changer_set(common->next_volume);
		code = command->run(options, &report);
		signals_finish();
		code = report_end(&report, code);
	}
	options_free(command, options);
	free(options);
	return code;
}

/* vmabak --help, --version, or nothing. */
static int run_without_command(int argc, char **argv)
{
	struct report report;
	struct program_options options = {0};
	struct error err = {0};

	report_begin(&report, "version", wants_json(&command_none, argc, argv));
	if (argc < 2)
		fail(&err, ERR_USAGE, "which command?");
	else if (argv[1][0] != '-')
		fail(&err, ERR_USAGE, "unknown command '%s'", argv[1]);
	else if (options_parse(&command_none, argc, argv, &options, &err) == 0 &&
		 !options.common.help && !options.version)
		fail(&err, ERR_USAGE, "the command comes first: vmabak COMMAND [OPTION]...");
	if (err.code == 0 && options.common.help) {
		report.no_document = true;
		help_print(&command_none, commands);
	} else if (err.code == 0) {
		version_print(&report);
	}
	options_free(&command_none, &options);
	return err.code == 0 ? report_end(&report, EXIT_DONE) : usage_error(&report, NULL, &err);
}

/* Keeps 0, 1 and 2 from becoming a drive, or the socket of a machine, where the caller closed them:
 * an archive for standard output would go there. Using one fails as if it were still closed. */
static void fill_closed_streams(void)
{
	static const int wrong_access[] = {O_WRONLY, O_RDONLY, O_RDONLY};

	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", wrong_access[fd]) != fd)
			return;
	}
}

int main(int argc, char **argv)
{
	const struct command *command = argc < 2 ? NULL : command_find(commands, argv[1]);

	fill_closed_streams();
	memory_start();
	signals_start();
	raise_file_limit();
	if (command == NULL)
		return run_without_command(argc, argv);
	return run(command, argc - 1, argv + 1);
}
