#include "machine/libvirt/deadline.h"

#include "base/watcher.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static struct {
	pthread_mutex_t lock; /* guards all */
	pthread_cond_t changed;
	bool started;
	const char *who; /* NULL: no call is made */
	int seconds;
	struct timespec until;
} deadline = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *watch(void *context)
{
	struct error err;
	int sys = 0;

	pthread_mutex_lock(&deadline.lock);
	while (sys != ETIMEDOUT) {
		struct timespec until = deadline.until;

		sys = 0;
		if (deadline.who == NULL)
			pthread_cond_wait(&deadline.changed, &deadline.lock);
		else
			sys = pthread_cond_timedwait(&deadline.changed, &deadline.lock, &until);
		/* It may have ended, or the next have begun, at that very moment. */
		if (deadline.who == NULL || deadline.until.tv_sec != until.tv_sec ||
		    deadline.until.tv_nsec != until.tv_nsec)
			sys = 0;
	}
	fail(&err, ERR_SYSTEM, "%s: no answer within %d s", deadline.who, deadline.seconds);
	watcher_give_up(context, &err);
	return NULL;
}

int deadlines_start(const struct watcher *watcher, struct error *err)
{
	pthread_condattr_t monotonic;
	pthread_t thread;
	int sys;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&deadline.changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	sys = pthread_create(&thread, NULL, watch, (void *)(uintptr_t)watcher);
	if (sys != 0)
		return fail_system(err, sys, "starting a thread");
	pthread_detach(thread);
	deadline.started = true;
	return 0;
}

static void set(const char *who, int seconds)
{
	if (!deadline.started)
		return;
	pthread_mutex_lock(&deadline.lock);
	clock_gettime(CLOCK_MONOTONIC, &deadline.until);
	deadline.until.tv_sec += seconds;
	deadline.seconds = seconds;
	deadline.who = who;
	pthread_cond_signal(&deadline.changed);
	pthread_mutex_unlock(&deadline.lock);
}

void deadline_begin(const char *who, int seconds)
{
	set(who, seconds);
}

void deadline_end(void)
{
	set(NULL, 0);
}
