/*
 * Everything that is printed from the table of commands.
 */
#include "cli/commands.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define HELP_COLUMN 30 /* where the text of an option begins */
#define HELP_WIDTH  96

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
		n += snprintf(left + n, sizeof(left) - (size_t)n, " %s", spec->argument);
	printf("%-*s", HELP_COLUMN, left);
	if (n >= HELP_COLUMN)
		printf("\n%*s", HELP_COLUMN, "");
	print_wrapped(spec->help);
}

static void print_commands(void)
{
	puts("\nCommands:");
	for (const struct command *command = commands; command->name != NULL; command++) {
		if (!command->hidden)
			printf("  %-10s %s\n", command->name, command->summary);
	}
}

void help_print(const struct command *command)
{
	const struct option_spec *specs[OPTIONS_MAX];
	unsigned n = options_list(command, specs);
	bool all = command == &commands_none;

	printf("Usage: vmabak %s%s%s\n\n%s", all ? "" : command->name, all ? "" : " ",
	       command->usage, command->help);
	if (all)
		print_commands();
	puts("\nOptions:");
	for (unsigned i = 0; i < n; i++)
		print_option(specs[i]);
	if (all)
		puts("\nExit codes: 0 done, 1 failed, 2 usage, 3 done with warnings, 4 archive "
		     "damaged or\n"
		     "incomplete, 6 no room left, 7 in use by another program.\n\n"
		     "\"vmabak help COMMAND\" tells more about each.");
}

int cmd_help(const struct options *options, struct report *report)
{
	const struct command *command = &commands_none;
	struct error err = {0};

	if (options->arguments.n > 0)
		command = commands_find(options->arguments.items[0]);
	if (command == NULL) {
		fail(&err, ERR_USAGE, "help: unknown command '%s'", options->arguments.items[0]);
		return report_error(report, NULL, &err);
	}
	report->no_document = true;
	help_print(command);
	return EXIT_DONE;
}

int cmd_commands(const struct options *options, struct report *report)
{
	(void)options;
	report->no_document = true;
	for (const struct command *command = commands; command->name != NULL; command++) {
		const struct option_spec *specs[OPTIONS_MAX];
		unsigned n = options_list(command, specs);

		if (command->hidden)
			continue;
		printf("%s", command->name);
		for (unsigned i = 0; i < n; i++)
			printf("\t--%s", specs[i]->name);
		putchar('\n');
	}
	return EXIT_DONE;
}
