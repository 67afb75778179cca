/*
 * Commands of the user at the other end of an archive: exec:COMMAND, run by /bin/sh.
 *
 * One that is written to must not take a stump for the whole: most uploaders finish what they have
 * when their input ends, whatever the reason. So its input is kept open by a process of its own,
 * the keeper, which ends the command (SIGTERM to its process group, later SIGKILL) before it lets
 * go, when the archive is given up or this process has died.
 *
 * The command has a session of its own: it cannot ask at the terminal. What it writes to standard
 * output, if that is not what is read, goes to standard error. Not for several threads at once.
 */
#ifndef BASE_COMMAND_H
#define BASE_COMMAND_H

#include "base/error.h"

#include <stdbool.h>

struct command;

/* The COMMAND of "exec:COMMAND", or NULL. */
const char *command_of(const char *name);

/* text: the command; borrowed. *fd: its standard input, or its standard output; it stays the
 * command's. */
int command_write(struct command **out, const char *text, int *fd, struct error *err);
/* The same; what was written before has this many bytes: VMABAK_OFFSET in its environment. */
int command_write_from(struct command **out, const char *text, uint64_t offset, int *fd,
		       struct error *err);
int command_read(struct command **out, const char *text, int *fd, struct error *err);
/* All was written, or everything was read: waits, without limit, for the command's end. An error:
 * its exit code is not 0. */
int command_finish(struct command *command, struct error *err);
/* Its input broke: how it ended, if it has; else *err stays as it is. Returns err->code. */
int command_explain(struct command *command, struct error *err);
/* Ends it if it was not finished. NULL-safe. */
void command_free(struct command *command);

/* ---- the keeper, which is this program again ---- */

#define COMMAND_INPUT_FD 3 /* where the command's input is written to, kept open */
#define COMMAND_LIFE_FD	 4 /* a byte: all was written; its end: the archive is given up */

#define COMMAND_UNREAD 250 /* its exit code for a command that ended well with input unread */

/* Runs the command, with its input at descriptor 5, and returns its exit code. */
int command_keep(const char *text, struct error *err);

#endif
