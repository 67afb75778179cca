/*
 * Progress: a bar on a terminal, lines elsewhere, percents for a program. A thread of its own
 * prints, so that a slow or stopped terminal never delays the data.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "base/error.h"
#include "base/watcher.h"

#include <stdbool.h>
#include <stdint.h>

/* 0: not given. */
enum progress_choice { PROGRESS_AUTO = 1, PROGRESS_ALWAYS, PROGRESS_NEVER };

struct progress_options {
	unsigned when; /* enum progress_choice */
	uint64_t fd;   /* where percents go; UINT64_MAX: nowhere */
};

/* Checks that the descriptor for percents is open, and is not the one that the archive is written
 * to. output: NULL if the command writes none. */
int progress_check(const struct progress_options *options, const char *output, struct error *err);

/* One at a time. mute: no bar and no lines unless asked for. */
void progress_begin(const struct progress_options *options, bool mute,
		    const struct progress_view *view);
/* done: the run succeeded, so 100 percent is written. */
void progress_end(bool done);

/* Seconds since progress_begin. */
double progress_seconds(void);

/* Prints one line now, whatever the options say; for SIGUSR1. Any thread, at any time. */
void progress_ask(void);
/* Ends the line of the bar, before the program ends by a signal. */
void progress_abandon(void);

#endif
