#include "base/pace.h"

#include <errno.h>
#include <time.h>

#define SECOND_NS 1000000000u
#define BURST_NS  100000000u /* how much time that was lost may be made up for */
#define SLICES	  20u	     /* a second */
#define SLICE_MIN 512u	     /* bytes */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

void pace_start(struct pace *pace, uint64_t bytes_per_s)
{
	pace->bytes_per_s = bytes_per_s;
	pace->due_ns = now_ns();
}

size_t pace_slice(const struct pace *pace)
{
	uint64_t slice = pace->bytes_per_s / SLICES;

	if (pace->bytes_per_s == 0 || slice > SIZE_MAX / 2)
		return SIZE_MAX / 2;
	return slice > SLICE_MIN ? (size_t)slice : SLICE_MIN;
}

/* Against a plan in absolute time, so that sleeping too long is made up for by the next wait. */
void pace_wait(struct pace *pace, size_t n)
{
	uint64_t now = now_ns();

	if (pace->bytes_per_s == 0)
		return;
	if (pace->due_ns + BURST_NS < now)
		pace->due_ns = now - BURST_NS;
	pace->due_ns += (uint64_t)((double)n * SECOND_NS / (double)pace->bytes_per_s);
	struct timespec due = {
		.tv_sec = (time_t)(pace->due_ns / SECOND_NS),
		.tv_nsec = (long)(pace->due_ns % SECOND_NS),
	};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		;
}
