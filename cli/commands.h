/*
 * The table of commands: it drives dispatch, help, completion and the check of the man pages.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"
#include "cli/report.h"

#define OPTION_GROUPS 5u

struct command {
	const char *name;
	/* Returns the exit code; warnings are the report's affair. */
	int (*run)(const struct options *options, struct report *report);
	const char *usage;				  /* what follows the name */
	const char *summary;				  /* one line */
	const char *help;				  /* the longer text, with an example */
	const struct option_spec *options[OPTION_GROUPS]; /* NULL: no more groups */
	unsigned min_arguments;
	unsigned max_arguments;
	bool hidden;
};

/* Ends with a command without a name. */
extern const struct command commands[];
/* The program called without a command: --help and --version. */
extern const struct command commands_none;

const struct command *commands_find(const char *name);

int cmd_serve(const struct options *options, struct report *report);
int cmd_status(const struct options *options, struct report *report);
int cmd_stop(const struct options *options, struct report *report);
int cmd_backup(const struct options *options, struct report *report);
int cmd_restore(const struct options *options, struct report *report);
int cmd_list(const struct options *options, struct report *report);
int cmd_config(const struct options *options, struct report *report);
int cmd_verify(const struct options *options, struct report *report);
int cmd_salvage(const struct options *options, struct report *report);
int cmd_convert(const struct options *options, struct report *report);
int cmd_qemu_drives(const struct options *options, struct report *report);
int cmd_qemu_guard(const struct options *options, struct report *report);
int cmd_libvirt_guard(const struct options *options, struct report *report);
int cmd_libvirt_freeze(const struct options *options, struct report *report);
int cmd_help(const struct options *options, struct report *report);
int cmd_completion(const struct options *options, struct report *report);
int cmd_commands(const struct options *options, struct report *report);

/* Prints what --help prints, of one command or, with commands_none, of all. */
void help_print(const struct command *command);
/* Prints the versions of the program and of what it stands on, into the JSON result or as text. */
void version_print(struct report *report);

#endif
