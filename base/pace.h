/*
 * Holding to a rate, of what is read as of what is written.
 *
 * Time lost while the other end was slower is made up for, but only a tenth of a second of it:
 * after a pause no burst follows that whoever set the rate would feel.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A rate is a number of bytes a second, up to INT64_MAX, 0 for no limit, or a schedule: what
 * pace_parse made of a text such as "20M@08:00-18:00,0", rates for hours of the day by local time,
 * and the one for all other hours. Of spans that overlap the first counts; one may begin before
 * midnight and end after it. false: not a rate, or more schedules than a command line has. */
bool pace_parse(const char *text, uint64_t *rate);
/* The bytes a second at this time, in seconds since 1970. */
uint64_t pace_at(uint64_t rate, int64_t now_s);

struct pace {
	uint64_t rate;
	uint64_t bytes_per_s; /* now; 0: no limit */
	int64_t due_ns;	      /* when the bytes moved so far are due, by clock_ns */
	int64_t ask_ns;	      /* when a schedule is asked again */
};

void pace_start(struct pace *pace, uint64_t rate);
/* Whether there may ever be a limit. */
bool pace_limits(const struct pace *pace);
/* The most bytes to move at a time, so that the rate is held smoothly. */
size_t pace_slice(const struct pace *pace);
/* n bytes were moved: waits until they were due. */
void pace_wait(struct pace *pace, size_t n);

#endif
