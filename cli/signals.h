/*
 * Signals, all taken by one thread, so that no handler interrupts anything.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <stdbool.h>

/* To be called before any other thread exists. SIGPIPE is ignored from then on; SIGINT, SIGTERM and
 * SIGHUP remove what is unfinished and end the program as they would by default; SIGUSR1 asks for a
 * line of progress. */
void signals_start(void);

/* False: no thread could be made for that, and signals end the program as they would by default. */
bool signals_taken(void);

/* Has the first signal that would end the program call this instead, on that thread. Those of the
 * next two seconds are taken for the same; one that comes later ends it. */
void signals_end_by(void (*end)(void));

/* No signal but SIGKILL ends the program any more: for what has to outlive others. */
void signals_outlive(void);

/* Which signal that was; 0: none yet. */
int signals_noted(void);
/* Ends the program by it, as without signals_end_by. */
_Noreturn void signals_end(void);

/* Removes temporary files and ends helpers, for good: nothing gets its final name after this. */
void signals_abandon(void);

#endif
