/*
 * Help, and the row of the program when it is called without a command.
 */
#ifndef CLI_CMD_HELP_H
#define CLI_CMD_HELP_H

#include "cli/command.h"

struct program_options {
	struct common_options common;
	bool version;
};

extern const struct command command_none; /* --help, --version */

/* Prints what --help prints, of one command or, with command_none, of all. */
void help_print(const struct command *command, const struct command *const *commands);

#endif
