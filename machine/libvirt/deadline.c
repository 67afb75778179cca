#include "machine/libvirt/deadline.h"

#include "base/clock.h"
#include "base/watcher.h"

#include <errno.h>
#include <pthread.h>

static struct {
	pthread_mutex_t lock; /* guards all */
	pthread_cond_t changed;
	bool started;
	const char *program; /* NULL: no call is being made */
	int seconds;
	int64_t until_ms;
} deadline = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *watch(void *watcher)
{
	struct error err;

	pthread_mutex_lock(&deadline.lock);
	while (deadline.program == NULL || clock_ms() < deadline.until_ms) {
		if (deadline.program == NULL)
			pthread_cond_wait(&deadline.changed, &deadline.lock);
		else
			clock_cond_wait(&deadline.changed, &deadline.lock, deadline.until_ms);
	}
	fail(&err, ERR_SYSTEM, "%s: no answer within %d s", deadline.program, deadline.seconds);
	watcher_give_up(watcher, &err);
	pthread_mutex_unlock(&deadline.lock);
	return NULL;
}

int deadlines_start(const struct watcher *watcher, struct error *err)
{
	pthread_t thread;
	int sys;

	if (deadline.started)
		return 0;
	clock_cond_init(&deadline.changed);
	sys = pthread_create(&thread, NULL, watch, (void *)(uintptr_t)watcher);
	if (sys != 0)
		return fail_start(err, sys, "starting a thread");
	pthread_detach(thread);
	deadline.started = true;
	return 0;
}

static void set(const char *program, int seconds)
{
	if (!deadline.started)
		return;
	pthread_mutex_lock(&deadline.lock);
	deadline.until_ms = clock_ms() + (int64_t)seconds * 1000;
	deadline.seconds = seconds;
	deadline.program = program;
	pthread_cond_signal(&deadline.changed);
	pthread_mutex_unlock(&deadline.lock);
}

void deadline_begin(const char *program, int seconds)
{
	set(program, seconds);
}

void deadline_end(void)
{
	set(NULL, 0);
}
