#include "base/pace.h"

#include "base/clock.h"

#define SECOND_NS 1000000000
#define BURST_NS  100000000 /* how much lost time may be made up for */
#define SLICES	  20u	    /* a second */
#define SLICE_MIN 512u	    /* bytes */

void pace_start(struct pace *pace, uint64_t bytes_per_s)
{
	*pace = (struct pace){.bytes_per_s = bytes_per_s, .due_ns = clock_ns()};
}

size_t pace_slice(const struct pace *pace)
{
	uint64_t slice = pace->bytes_per_s / SLICES;

	if (pace->bytes_per_s == 0 || slice > SIZE_MAX / 2)
		return SIZE_MAX / 2;
	return slice > SLICE_MIN ? (size_t)slice : SLICE_MIN;
}

/* By absolute times, so that the next wait makes up for one that took too long. */
void pace_wait(struct pace *pace, size_t n)
{
	if (pace->bytes_per_s == 0)
		return;
	int64_t earliest_ns = clock_ns() - BURST_NS;
	if (pace->due_ns < earliest_ns)
		pace->due_ns = earliest_ns;
	pace->due_ns += (int64_t)((double)n * SECOND_NS / (double)pace->bytes_per_s);
	clock_sleep_until_ns(pace->due_ns);
}
