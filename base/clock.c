#include "base/clock.h"

#include <errno.h>
#include <time.h>

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = (long)(ns % 1000000000)};
}

static int64_t read_clock(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_coarse_ns(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE);
}

int64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

uint64_t clock_real_ns(void)
{
	return (uint64_t)read_clock(CLOCK_REALTIME);
}

uint64_t clock_file_ns(void)
{
	return (uint64_t)read_clock(CLOCK_REALTIME_COARSE);
}

double clock_s(void)
{
	return (double)clock_ns() / 1e9;
}

void clock_sleep_ms(unsigned ms)
{
	const struct timespec length = timespec_of(ms * INT64_C(1000000));

	nanosleep(&length, NULL);
}

void clock_sleep_until_ns(int64_t until_ns)
{
	const struct timespec until = timespec_of(until_ns);

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

void clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

int clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms)
{
	const struct timespec until =
		timespec_of(until_ms > INT64_MAX / 1000000 ? INT64_MAX : until_ms * 1000000);

	return pthread_cond_timedwait(cond, mutex, &until);
}
