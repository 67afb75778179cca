/*
 * vmabak libvirt-guard [--connect URI] DOMAIN ID: what machine/libvirt/run.c starts. It waits at
 * descriptor 3, and when that ends, for whatever reason, ends the job of run ID.
 *
 * vmabak libvirt-freeze [--connect URI] [--thaw] DOMAIN: freezes or thaws, as a process of its own,
 * which machine/hooks.c ends when it takes too long.
 */
#include "cli/groups.h"
#include "machine/libvirt/domain.h"
#include "machine/guard.h"
#include "machine/libvirt/job.h"
#include "machine/rundir.h"
#include "machine/qemu/jobs.h"
#include "cli/signals.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct helper_options {
	struct common_options common;
	const char *connect;
	bool thaw;
};

static const struct helper_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"connect", 0, OPTION_TEXT, OPTION_FIELD(helper_options, connect), .argument = "URI",
	 .help = "where libvirt is"},
	{"thaw", 0, OPTION_FLAG, OPTION_FIELD(helper_options, thaw), .help = "thaw instead"},
	OPTIONS_END,
};

#define TRIES	15    /* a second apart */
#define WAIT_MS 40000 /* libvirt waits 30 s for a domain that is busy, and begins after that */
#define STEP_MS 50

/* A run that died while libvirt was asked to begin: it may begin yet. */
static int wait_for_job(struct domain *domain, const char *socket, struct error *err)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	bool runs = false;

	for (int waited = 0; waited < WAIT_MS && !runs; waited += STEP_MS) {
		if (libvirt_job_runs(domain, socket, &runs, err) < 0)
			return err->code;
		if (!runs)
			nanosleep(&step, NULL);
	}
	return 0;
}

static int clean_up(const struct helper_options *options, const char *socket, char word, struct error *err)
{
	struct domain *domain;
	int result = domain_open(&domain, options->connect, options->common.arguments.items[0], err);

	/* One that is not there has no jobs. */
	if (result < 0)
		return result == ERR_USAGE ? 0 : result;
	if (word == LIBVIRT_BEGINS)
		result = wait_for_job(domain, socket, err);
	if (result == 0)
		result = libvirt_job_end(domain, socket, err);
	domain_close(domain);
	return result;
}

static int run_guard(const void *given, struct report *report)
{
	const struct helper_options *options = given;
	const char *id = options->common.arguments.items[1];
	const struct timespec second = {.tv_sec = 1};
	struct error err = {0};
	char word, *socket;
	int result = -1, lock;

	if (strlen(id) != RUN_ID_SIZE - 1) {
		fail(&err, ERR_USAGE, "libvirt-guard is started by backup libvirt:");
		return report_error(report, NULL, &err);
	}
	socket = rundir_path(id);
	signals_outlive();
	word = guard_last_word(NULL);
	/* As long as this is at work the next run waits. */
	lock = rundir_lock(socket);
	if (word != LIBVIRT_BEGINS && word != LIBVIRT_BEGAN)
		result = 0;
	for (int i = 0; i < TRIES && result < 0; i++) {
		if (i > 0)
			nanosleep(&second, NULL);
		result = clean_up(options, socket, word, &err);
	}
	if (result == 0) {
		unlink(socket);
		rundir_remove(socket);
	}
	if (lock >= 0)
		close(lock);
	free(socket);
	return result < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}

static int run_freeze(const void *given, struct report *report)
{
	const struct helper_options *options = given;
	struct error err = {0};
	struct domain *domain;
	unsigned n;
	int result = domain_open(&domain, options->connect, options->common.arguments.items[0], &err);

	if (result == 0) {
		result =
			options->thaw ? domain_thaw(domain, &err) : domain_freeze(domain, &n, &err);
		domain_close(domain);
	}
	return result < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}

const struct command command_libvirt_guard = {
	.name = "libvirt-guard",
	.usage = "[--connect URI] DOMAIN ID",
	.summary = "end a backup in libvirt; started by backup libvirt:",
	.help = "Wait at descriptor 3 for the end of a backup, and end its job in libvirt.\n",
	.run = run_guard,
	.groups = {{"Options", specs, 0}, {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = 2,
	.hidden = true,
};

const struct command command_libvirt_freeze = {
	.name = "libvirt-freeze",
	.usage = "[--connect URI] [--thaw] DOMAIN",
	.summary = "freeze or thaw a guest; started by backup libvirt:",
	.help = "Freeze or thaw the file systems of a domain of libvirt.\n",
	.run = run_freeze,
	.groups = {{"Options", specs, 0}, {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
	.hidden = true,
};
