/*
 * How far a run is: a bar on a terminal, lines elsewhere, percents for a program. A thread of its
 * own prints, so that a terminal that is slow or stopped never holds up the data.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/options.h"

#include <stdatomic.h>

/* The counters are borrowed until progress_end. */
struct progress_view {
	const char *label;    /* what is going on, short: the name of the archive */
	uint64_t total_bytes; /* of the drives */
	_Atomic uint64_t *covered_bytes;
	_Atomic uint64_t *data_bytes;
	_Atomic uint64_t *archive_bytes; /* read or written */
	unsigned part,
		n_parts; /* this is part of n, counted from 0; percents for a program cover all */
};

/* Whether the options make sense here: that descriptor is open, and not where the archive goes. */
int progress_check(const struct options *options, struct error *err);

/* One at a time. */
void progress_begin(const struct options *options, const struct progress_view *view);
/* done: all went well, so that 100 percent is told. */
void progress_end(bool done);

/* Seconds since progress_begin. */
double progress_seconds(void);

/* Have one line printed now, whatever the options say; for SIGUSR1. Any thread, at any time. */
void progress_ask(void);
/* The program is about to end by a signal: leave the line of the bar. */
void progress_abandon(void);

#endif
