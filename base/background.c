#include "base/background.h"

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE_MAX       19
#define SHORT_SLICE_NS 100000u /* the shortest there is; ordinary ones are of some milliseconds */
#define LONG_SLICE_NS  100000000u /* the longest: those with a shorter one go first */

/* The first version of what the kernel takes; only late C libraries declare it. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

static void set(int policy, int nice, uint64_t slice_ns)
{
	const struct attributes wanted = {.size = sizeof wanted,
					  .policy = (uint32_t)policy,
					  .nice = nice < NICE_MAX ? nice : NICE_MAX,
					  .runtime_ns = slice_ns};

	if (sched_getscheduler(0) == SCHED_OTHER)
		syscall(SYS_sched_setattr, 0, &wanted, 0);
}

/* getpriority: of the thread, on Linux. */
void background_work(int steps)
{
	set(SCHED_BATCH, getpriority(PRIO_PROCESS, 0) + steps, LONG_SLICE_NS);
}

void background_respond(void)
{
	set(SCHED_OTHER, getpriority(PRIO_PROCESS, 0), SHORT_SLICE_NS);
}
