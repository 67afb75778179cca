#include "machine/libvirt/clean_up.h"

#include "base/clock.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/job.h"
#include "machine/rundir.h"

#include <stdlib.h>
#include <unistd.h>

#define TRIES	15    /* a second apart */
#define WAIT_MS 40000 /* libvirt waits 30 s for a domain that is busy, and begins after that */
#define STEP_MS 50

/* A run that died while libvirt was asked to begin: it may begin yet. */
static int wait_for_job(struct domain *domain, const char *socket, struct error *err)
{
	bool runs = false;

	for (int waited = 0; waited < WAIT_MS && !runs; waited += STEP_MS) {
		TRY(libvirt_job_runs(domain, socket, &runs, err));
		if (!runs)
			clock_sleep_ms(STEP_MS);
	}
	return 0;
}

static int end_job(const struct machine_options *options, const char *socket, char last,
		   struct error *err)
{
	struct domain *domain;
	int code = domain_open(&domain, options->connect, options->place, err);

	if (code == ERR_USAGE) /* no such domain, so there is no job */
		return 0;
	TRY(code);
	if (last == GUARD_BEGINS)
		code = wait_for_job(domain, socket, err);
	if (code == 0)
		code = libvirt_job_end(domain, socket, err);
	domain_close(domain);
	return code;
}

/* While this holds the lock the next run waits. */
int libvirt_clean_up(const struct machine_options *options, const char *id, char last,
		     struct error *err)
{
	char *socket = rundir_path(id);
	int lock, code = 0;

	if (socket == NULL)
		return fail_memory(err);
	lock = rundir_lock(socket);
	if (last == GUARD_BEGINS || last == GUARD_BEGAN)
		code = end_job(options, socket, last, err);
	for (int i = 1; i < TRIES && code < 0; i++) {
		clock_sleep_ms(1000);
		code = end_job(options, socket, last, err);
	}
	if (code == 0) {
		unlink(socket);
		rundir_remove(socket);
	}
	if (lock >= 0)
		close(lock);
	free(socket);
	return code;
}
