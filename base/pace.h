/*
 * Holding to a rate. Private to output/.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stddef.h>
#include <stdint.h>

struct pace {
	uint64_t bytes_per_s; /* 0: as fast as it goes */
	uint64_t due_ns;      /* when what was sent so far is due to have been sent */
};

void pace_start(struct pace *pace, uint64_t bytes_per_s);
/* The most bytes to send at a time, so that the rate is held smoothly. */
size_t pace_slice(const struct pace *pace);
/* n bytes were sent: waits until they were due. */
void pace_wait(struct pace *pace, size_t n);

#endif
