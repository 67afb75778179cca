/*
 * The table of commands: it drives dispatch, help, completion and the check of the man pages. Each
 * command's row, options and help stand in its own file, cli/cmd_NAME.c.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"
#include "cli/report.h"

#define OPTION_GROUPS 10u /* of one command, and one that ends them */

struct command {
	const char *name;
	const char *usage;   /* what follows the name */
	const char *summary; /* one line */
	const char *help;    /* the longer text, with an example */
	/* Returns the exit code; warnings are the report's affair. options: the command's own
	 * struct. */
	int (*run)(const void *options, struct report *report);
	struct option_group groups[OPTION_GROUPS]; /* ended by one without specs */
	const void *defaults;			   /* the initial value of its struct */
	size_t options_size;			   /* bytes of it */
	unsigned min_arguments, max_arguments;
	bool hidden;
};

/* The row's members for a command whose struct begins as this variable. */
#define COMMAND_DEFAULTS(variable) .defaults = &(variable), .options_size = sizeof(variable)

/* For commands with no options of their own. */
struct plain_options {
	struct common_options common;
};
extern const struct plain_options plain_defaults;
extern const struct option_spec common_specs[];

/* Ended by NULL. */
extern const struct command *const commands[];
/* The program called without a command: --help and --version. */
extern const struct command command_none;

extern const struct command command_backup; /* whose table says which options are for what */

struct program_options {
	struct common_options common;
	bool version;
};

const struct command *commands_find(const char *name);

/* Prints what --help prints, of one command or, with command_none, of all. */
void help_print(const struct command *command);
/* Prints the versions of the program and of what it stands on, into the JSON result or as text. */
void version_print(struct report *report);

#endif
