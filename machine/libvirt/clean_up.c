#include "machine/libvirt/clean_up.h"

#include "base/clock.h"
#include "base/track_name.h"
#include "machine/libvirt/checkpoint.h"
#include "machine/libvirt/description.h"
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

static void remove_scratches(struct domain *domain, const struct machine_options *options,
			     const char *id)
{
	struct domain_disks disks = {0};
	struct error ignored;
	char *xml;

	if (domain_description(domain, false, &xml, &ignored) < 0)
		return;
	if (domain_disks_parse(&disks, xml, &ignored) == 0)
		scratch_files_remove(&disks, options->scratch, id);
	domain_disks_free(&disks);
	free(xml);
}

static int end_in(struct domain *domain, const struct machine_options *options, const char *socket,
		  char last, struct error *err)
{
	char id[RUN_ID_SIZE];

	if (last == GUARD_BEGINS)
		TRY(wait_for_job(domain, socket, err));
	if (last != GUARD_PENDING)
		TRY(libvirt_job_end(domain, socket, err));
	if (rundir_id(socket, id))
		remove_scratches(domain, options, id);
	return options->checkpoint == NULL
		       ? 0
		       : libvirt_checkpoint_remove(domain, options->checkpoint, err);
}

static int end_job(const struct machine_options *options, const char *socket, char last,
		   struct error *err)
{
	struct domain *domain;
	int code = domain_open(&domain, options->connect, options->place, err);

	if (code == ERR_USAGE) /* no such domain, so there is no job */
		return 0;
	TRY(code);
	code = end_in(domain, options, socket, last, err);
	domain_close(domain);
	return code;
}

static bool has_work(char last)
{
	return last == GUARD_BEGINS || last == GUARD_BEGAN || last == GUARD_PENDING;
}

/* While this holds the lock the next run waits. */
int libvirt_clean_up(const struct machine_options *options, const char *id, char last,
		     struct error *err)
{
	char *socket = rundir_path(id);
	int lock, code = 0;

	if (socket == NULL)
		return fail_memory(err);
	if (options->checkpoint != NULL && !track_name_is_ours(options->checkpoint)) {
		free(socket);
		return fail(err, ERR_USAGE, "checkpoint '%.60s': is none of a backup",
			    options->checkpoint);
	}
	lock = rundir_lock(socket);
	if (has_work(last))
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
