/*
 * Signals, all received by one thread, so that no handler interrupts anything. What each operation
 * does when one arrives is base/stop's affair.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <stdbool.h>

/* To be called before any other thread exists. SIGPIPE is ignored from then on; SIGINT, SIGTERM and
 * SIGHUP remove unfinished files and end the program as they would by default, after what
 * stop_handle was told; SIGUSR1 asks for a line of progress. Signals that follow within two seconds
 * are taken for the same one; a later one ends the program. */
void signals_start(void);

/* False: that thread could not be started, and signals end the program as they would by default. */
bool signals_taken(void);

/* The command has returned: when a signal made it, ends the program by that signal. */
void signals_finish(void);

/* No signal but SIGKILL ends the program any more: for processes that outlive others. */
void signals_outlive(void);

/* Removes temporary files and ends helpers, for good: nothing gets its final name after this.
 * True: there were some, and no file has got its name. */
bool signals_abandon(void);

/* What a signal that ends the program calls before, or NULL. in_vain: as signals_abandon. It may
 * run beside the command, which may hold any lock, that of stderr included. */
void signals_tell(void (*tell)(const void *context, int number, bool in_vain), const void *context);

#endif
