/*
 * The table of commands.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"

/* Ended by NULL. */
extern const struct command *const commands[];

#endif
