/*
 * The end that a signal asks for, as the code below the command line sees it. What receives signals
 * (cli/signals.c) calls stop_by; what runs may have said before what is to be done then. Nothing
 * here ends the process.
 */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include <stdbool.h>

enum stop_next {
	STOP_UNWINDS, /* what runs fails now, by what was done, and returns: the process ends then */
	STOP_NOW,     /* all that had to be done is done: the process may end */
};

/* What a signal is to do first; on the thread that takes signals, once, and then never again until
 * the next call. NULL: nothing, the process may end. */
void stop_handle(enum stop_next (*handler)(void));

/* A folder that is to be removed too if it is empty; NULL: none. Borrowed. */
void stop_guard_folder(const char *path);
/* Removes it. */
void stop_remove_folder(void);

/* For what receives signals: number came. Runs the handler, if there is one. */
enum stop_next stop_by(int number);
/* Which signal it was; 0: none yet. Any thread. */
int stop_signal(void);

#endif
