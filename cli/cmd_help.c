/*
 * Everything that is printed from the table of commands.
 */
#include "cli/command.h"

#include "cli/groups.h"
#include "cli/options.h"
#include "cli/sources.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define HELP_COLUMN 30 /* where the text of an option begins */
#define HELP_WIDTH  79

/* Wraps text between HELP_COLUMN and HELP_WIDTH; the cursor is at HELP_COLUMN. */
static void print_wrapped(const char *text)
{
	size_t space = HELP_WIDTH - HELP_COLUMN;

	while (strlen(text) > space) {
		size_t cut = space;

		while (cut > 0 && text[cut] != ' ')
			cut--;
		if (cut == 0)
			break;
		printf("%.*s\n%*s", (int)cut, text, HELP_COLUMN, "");
		text += cut + 1;
	}
	puts(text);
}

static void print_option(const struct option_spec *spec)
{
	char left[80];
	int n = snprintf(left, sizeof(left), "  %c%c%s --%s", spec->letter == 0 ? ' ' : '-',
			 spec->letter == 0 ? ' ' : spec->letter, spec->letter == 0 ? " " : ",",
			 spec->name);

	if (spec->argument != NULL)
		n += snprintf(left + n, sizeof(left) - (size_t)n, "%s%s",
			      option_value_is_optional(spec) ? "" : " ", spec->argument);
	printf("%-*s", HELP_COLUMN, left);
	if (n >= HELP_COLUMN)
		printf("\n%*s", HELP_COLUMN, "");
	print_wrapped(spec->help);
}

static void print_commands(const struct command *const *commands)
{
	puts("\nCommands:");
	for (; *commands != NULL; commands++) {
		if (!(*commands)->hidden)
			printf("  %-13s %s\n", (*commands)->name, (*commands)->summary);
	}
}

static void print_options(const struct command *command)
{
	struct option_use uses[OPTIONS_MAX];
	unsigned n = options_list(command, uses);

	for (unsigned i = 0; i < n; i++) {
		if (i == 0 || uses[i].title != uses[i - 1].title)
			printf("\n%s:\n", uses[i].title);
		print_option(uses[i].spec);
	}
}

void help_print(const struct command *command, const struct command *const *commands)
{
	bool all = command == &command_none;

	printf("Usage: vmabak %s%s%s\n\n%s", all ? "" : command->name, all ? "" : " ",
	       command->usage, command->help);
	if (all)
		print_commands(commands);
	print_options(command);
	if (all)
		puts("\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 done with warnings, 4 "
		     "archive\n"
		     "damaged or incomplete, 5 salvage: some data is lost, 6 no room left, 7 in "
		     "use\n"
		     "by another program, 128+n ended by signal n.\n\n"
		     "\"vmabak help COMMAND\" describes a command.");
}

static int run_help(const void *given, struct report *report)
{
	const struct plain_options *options = given;
	const struct strings *arguments = &options->common.arguments;
	const struct command *command = &command_none;
	struct error err = {0};

	if (arguments->n > 0)
		command = command_find(options->common.commands, arguments->items[0]);
	if (command == NULL) {
		fail(&err, ERR_USAGE, "help: unknown command '%s'", arguments->items[0]);
		return report_error(report, NULL, &err);
	}
	report->no_document = true;
	help_print(command, options->common.commands);
	return EXIT_DONE;
}

static int run_commands(const void *given, struct report *report)
{
	const struct plain_options *options = given;
	const struct command *const *command = options->common.commands;
	unsigned kinds = ~0u;
	const char *place;

	if (options->common.arguments.n > 0)
		kinds = source_of(options->common.arguments.items[0], &place);

	report->no_document = true;
	for (; *command != NULL; command++) {
		struct option_use uses[OPTIONS_MAX];
		unsigned n = options_list(*command, uses);

		if ((*command)->hidden)
			continue;
		printf("%s", (*command)->name);
		for (unsigned i = 0; i < n; i++)
			if (uses[i].spec->sources == 0 || (uses[i].spec->sources & kinds) != 0)
				printf("\t--%s", uses[i].spec->name);
		putchar('\n');
	}
	return EXIT_DONE;
}

static const struct option_spec program_specs[] = {
	{"help", 'h', OPTION_FLAG, OPTION_FIELD(program_options, common.help),
	 .help = "print this and exit"},
	{"version", 'V', OPTION_FLAG, OPTION_FIELD(program_options, version),
	 .help = "print the version, features and libraries, and exit"},
	{"json", 0, OPTION_FLAG, OPTION_FIELD(program_options, common.report.json),
	 .help = "print the version as one JSON object"},
	OPTIONS_END,
};

static const struct program_options program_defaults = {.common = {COMMON_DEFAULTS}};

const struct command command_none = {
	.name = "vmabak",
	.usage = "COMMAND [OPTION]... [ARGUMENT]...",
	.help = "Back up the drives of virtual machines into one archive, and restore them.\n",
	.groups = {{"Options", program_specs, 0}},
	COMMAND_DEFAULTS(program_defaults),
	.max_arguments = UINT_MAX,
};

const struct command command_help = {
	.name = "help",
	.usage = "[COMMAND]",
	.operand = "VERB",
	.summary = "explain a command",
	.help = "Print a short description of a command and its options, or list all commands.\n"
		"\n"
		"Example:\n"
		"  vmabak help restore\n",
	.run = run_help,
	.groups = {{"Options", common_specs, 0}},
	COMMAND_DEFAULTS(plain_defaults),
	.max_arguments = 1,
};

const struct command command_commands = {
	.name = "commands",
	.usage = "[SOURCE]",
	.summary = "print each command and its options, for checks",
	.help = "Print a line for each command: its name, then its options, separated by tabs.\n"
		"With a SOURCE such as qemu: without those that are not for it.\n",
	.run = run_commands,
	.groups = {{"Options", common_specs, 0}},
	COMMAND_DEFAULTS(plain_defaults),
	.max_arguments = 1,
	.hidden = true,
};
