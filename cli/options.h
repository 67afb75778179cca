/*
 * Reads a command line into a command's own struct, as its row says.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/error.h"
#include "cli/command.h"

/* An option as a command has it. */
struct option_use {
	const struct option_spec *spec;
	const char *title; /* of its group; the same pointer within one */
	size_t field;	   /* offset in the struct of the command */
};

#define OPTIONS_MAX 64u /* of one command; common_options.given has room for 64 */

/* All options of a command in one list; returns how many. */
unsigned options_list(const struct command *command, struct option_use out[OPTIONS_MAX]);

/* Whether its value may be left out, and must be joined by a "=" otherwise. */
bool option_value_is_optional(const struct option_spec *spec);

/* Reads the words from argv[1]. out, command->options_size bytes, is always initialised, and
 * released by options_free. Returns 0 or ERR_USAGE. */
int options_parse(const struct command *command, int argc, char **argv, void *out,
		  struct error *err);
void options_free(const struct command *command, void *options);

/* The archive that the command writes, "-" for standard output; NULL: it writes none. */
const char *options_output(const struct command *command, const void *options);

/* The command of that name in a table ended by NULL; NULL: none. */
const struct command *command_find(const struct command *const *commands, const char *name);

#endif
