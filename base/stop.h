/*
 * The end that a signal asks for, as the code below the command line sees it. What receives signals
 * (cli/signals.c) calls stop_by; an operation may have said before what has to be done first.
 * Nothing here ends the process.
 */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include <stdbool.h>

enum stop_next {
	STOP_ENDS, /* the operation now ends as if asked to: its own result counts */
	STOP_NOW,  /* nothing is left to be done: the signal ends the process now */
};

/* Sets what a signal does first: it is called once, on a thread of its own, and not again until the
 * next call of this function. NULL: nothing. It may block, but must not wait for the thread that
 * runs the command, which may be stuck (in a write to a full pipe): it cleans up by itself, or has
 * others do so, and returns STOP_NOW. */
void stop_handle(enum stop_next (*handler)(void));

/* A folder that is to be removed too if it is empty; NULL: none. Borrowed. */
void stop_guard_folder(const char *path);
/* Removes it. */
void stop_remove_folder(void);

/* While on, what would stop the process does not: ^Z, and reading or writing at the terminal in the
 * background (SIGTSTP, SIGTTIN, SIGTTOU). SIGSTOP does all the same. */
void stop_keep_going(bool on);

/* For what receives signals: number came. Runs the handler, if there is one. */
enum stop_next stop_by(int number);
/* Which signal a handler was called for; 0: none yet. Any thread. */
int stop_signal(void);
/* Whether the process is going to end by that signal, whatever the operation returns, so that a
 * failure need not be reported. Waits until the handler has returned: for the thread that runs the
 * command. */
bool stop_ends_process(void);

#endif
