/*
 * Holding to a rate, of what is read as of what is written.
 *
 * Time lost while the other end was slower is made up for, but only a tenth of a second of it:
 * after a pause no burst follows that whoever set the rate would feel.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stddef.h>
#include <stdint.h>

struct pace {
	uint64_t bytes_per_s; /* 0: no limit */
	int64_t due_ns;	      /* when the bytes moved so far are due, by clock_ns */
};

void pace_start(struct pace *pace, uint64_t bytes_per_s);
/* The most bytes to move at a time, so that the rate is held smoothly. */
size_t pace_slice(const struct pace *pace);
/* n bytes were moved: waits until they were due. */
void pace_wait(struct pace *pace, size_t n);

#endif
