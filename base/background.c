#include "base/background.h"

#include <sched.h>
#include <sys/resource.h>

#define NICE_MAX 19

/* On Linux all three calls are about the thread. */
void background_work(int steps)
{
	const struct sched_param none = {0};
	int nice = getpriority(PRIO_PROCESS, 0) + steps;

	if (sched_getscheduler(0) != SCHED_OTHER)
		return;
	sched_setscheduler(0, SCHED_BATCH, &none);
	setpriority(PRIO_PROCESS, 0, nice < NICE_MAX ? nice : NICE_MAX);
}

void background_pause(void)
{
	sched_yield();
}
