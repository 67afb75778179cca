#include "base/background.h"

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE_MAX 19
#define SLICE_NS 100000000u /* the longest there is: all that have ordinary ones go first */

/* The first version of what the kernel takes; only late C libraries declare it. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

/* getpriority: of the thread, on Linux. */
void background_work(int steps)
{
	int nice = getpriority(PRIO_PROCESS, 0) + steps;
	const struct attributes wanted = {.size = sizeof wanted,
					  .policy = SCHED_BATCH,
					  .nice = nice < NICE_MAX ? nice : NICE_MAX,
					  .runtime_ns = SLICE_NS};

	if (sched_getscheduler(0) == SCHED_OTHER)
		syscall(SYS_sched_setattr, 0, &wanted, 0);
}
