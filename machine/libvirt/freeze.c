/*
 * libvirt has no limit of time for a freeze. So a thread asks for it: one that comes about too late
 * is told in time, and thawed when it has come about.
 */
#include "machine/libvirt/freeze.h"

#include "base/clock.h"
#include "base/patience.h"
#include "machine/libvirt/domain.h"

#include <pthread.h>
#include <stdlib.h>

struct attempt {
	const struct machine_options *options;
	struct domain *domain; /* the thread's until it is joined */
	pthread_t thread;
	pthread_mutex_t mutex; /* guards the rest */
	pthread_cond_t changed;
	bool ended;
	unsigned n;
	struct error err;
};

static void *ask(void *context)
{
	struct attempt *attempt = context;
	const struct machine_options *options = attempt->options;
	struct error err = {0};
	unsigned n = 0;

	if (domain_open(&attempt->domain, options->connect, options->place, &err) == 0)
		domain_freeze(attempt->domain, &n, &err);
	pthread_mutex_lock(&attempt->mutex);
	attempt->ended = true;
	attempt->n = n;
	attempt->err = err;
	pthread_cond_signal(&attempt->changed);
	pthread_mutex_unlock(&attempt->mutex);
	return NULL;
}

static int await(struct attempt *attempt, struct freezing *freezing, struct error *err)
{
	int sys = 0;

	pthread_mutex_lock(&attempt->mutex);
	while (!attempt->ended && sys == 0)
		sys = clock_cond_wait(&attempt->changed, &attempt->mutex, freezing->until_ms);
	if (!attempt->ended || clock_ms() > freezing->until_ms)
		fail(err, ERR_SYSTEM, "--quiesce: freezing was not done within %llu s",
		     (unsigned long long)freezing->limit_s);
	else if (attempt->err.code != 0) {
		*err = attempt->err;
		error_prefix(err, "--quiesce");
	}
	freezing->n_frozen += attempt->n;
	pthread_mutex_unlock(&attempt->mutex);
	return err->code;
}

static void attempt_free(struct attempt *attempt)
{
	pthread_mutex_destroy(&attempt->mutex);
	pthread_cond_destroy(&attempt->changed);
	free(attempt);
}

static int freeze(struct freezer *freezer, struct freezing *freezing, struct error *err)
{
	struct attempt *attempt = calloc(1, sizeof(*attempt));
	int sys;

	if (attempt == NULL)
		return fail_memory(err);
	attempt->options = freezer->options;
	pthread_mutex_init(&attempt->mutex, NULL);
	clock_cond_init(&attempt->changed);
	sys = pthread_create(&attempt->thread, NULL, ask, attempt);
	if (sys != 0) {
		attempt_free(attempt);
		return fail_start(err, sys, "starting a thread");
	}
	freezer->state = attempt;
	return await(attempt, freezing, err);
}

/* Waits for a freeze that is late for as long as it takes. */
static int thaw(struct freezer *freezer, struct error *err)
{
	struct attempt *attempt = freezer->state;
	int code = 0;

	freezer->state = NULL;
	if (attempt == NULL)
		return 0;
	pthread_join(attempt->thread, NULL);
	if (attempt->domain != NULL && attempt->err.code != ERR_UNSUPPORTED)
		code = domain_thaw(attempt->domain, err);
	if (code != 0)
		error_prefix(err, "--quiesce");
	domain_close(attempt->domain);
	attempt_free(attempt);
	return code;
}

const struct freezer_kind freezer_domain = {
	.limit_s = PATIENCE_FREEZE_GUEST_S,
	.freeze = freeze,
	.thaw = thaw,
};
