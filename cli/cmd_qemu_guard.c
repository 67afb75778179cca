/*
 * vmabak qemu-guard --qmp SOCKET [--guest-agent SOCKET] ID: what machine/guard.c starts. It waits at
 * descriptor 3, freezes and thaws when it is told to, and when that ends without a word, cleans up
 * after run ID.
 */
#include "machine/qemu/agent.h"
#include "cli/groups.h"
#include "machine/qemu/fleece.h"
#include "machine/guard.h"
#include "machine/qemu/instant.h"
#include "machine/rundir.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/qmp.h"
#include "cli/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRIES 30 /* a second apart: the next run of the same user may be at the monitor */

struct guard_options {
	struct common_options common;
	struct machine_options machine;
};

static const struct guard_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"qmp", 0, OPTION_TEXT, OPTION_FIELD(guard_options, machine.place), .argument = "SOCKET",
	 .help = "the socket of QEMU's monitor (QMP)"},
	{"guest-agent", 0, OPTION_TEXT, OPTION_FIELD(guard_options, machine.guest_agent),
	 .argument = "SOCKET", .help = "the guest agent, for messages"},
	{"freeze-timeout", 0, OPTION_NUMBER, OPTION_FIELD(guard_options, machine.freeze_timeout),
	 .argument = "SECONDS", .min = 1, .max = 3600,
	 .help = "to freeze, and then until the guest is thawed in any case"},
	{"scratch", 0, OPTION_TEXT, OPTION_FIELD(guard_options, machine.scratch),
	 .argument = "DIR", .help = "where the scratch images of a pull are"},
	OPTIONS_END,
};

static const struct machine_options *options_of_guard;

/* The guest is thawed whatever the backup does meanwhile, and also when freezing failed or took too
 * long: it may still come about. */
static void freeze(int fd)
{
	const struct machine_options *options = options_of_guard;
	uint64_t timeout_s = instant_freeze_timeout(options), n = 0;
	struct agent *agent = agent_adopt(options->guest_agent, fd);
	struct error err = {0};
	int result = agent_freeze(agent, (int)timeout_s * 1000, &n, &err);

	guard_say_frozen(n, &err);
	if (result == 0)
		guard_await_instant(timeout_s);
	err = (struct error){0};
	agent_thaw(agent, &err);
	guard_say_thawed(&err);
	agent_close(agent);
}

static int clean_up(const char *socket, const char *id, struct error *err)
{
	struct qmp *qmp;
	unsigned n;
	int result = qmp_open(&qmp, socket, err);

	if (result < 0)
		return result;
	result = leftovers_remove(qmp, id, &n, err);
	qmp_close(qmp);
	return result;
}

/* Where QEMU was not even told of it. */
static void remove_files(const char *scratch, const char *id)
{
	struct error ignored;
	char *path = NULL;

	if (scratch == NULL)
		path = rundir_path(id);
	else if (rundir_path_in(&path, scratch, id, &ignored) < 0)
		return;
	fleece_remove_files(path);
	free(path);
}

static int run(const void *given, struct report *report)
{
	const struct guard_options *command = given;
	const struct machine_options *options = &command->machine;
	const char *id = command->common.arguments.items[0];
	const struct timespec second = {.tv_sec = 1};
	struct error err = {0};
	int result = -1;

	if (options->place == NULL || strlen(id) != RUN_ID_SIZE - 1)
		fail(&err, ERR_USAGE, "qemu-guard is started by backup --qmp");
	if (err.code != 0)
		return report_error(report, NULL, &err);
	signals_outlive();
	options_of_guard = options;
	if (guard_last_word(freeze) == 'D')
		return EXIT_DONE;
	for (int i = 0; i < TRIES && result < 0; i++) {
		if (i > 0)
			nanosleep(&second, NULL);
		result = clean_up(options->place, id, &err);
	}
	remove_files(options->scratch, id);
	return result < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}

const struct command command_qemu_guard = {
	.name = "qemu-guard",
	.usage = "--qmp SOCKET [--guest-agent SOCKET] [--freeze-timeout SECONDS] [--scratch DIR] ID",
	.summary = "clean up in QEMU when a backup is killed; started by backup qemu:",
	.help = "Freeze and thaw the guest for a backup at descriptor 3; clean up in QEMU if it is "
		"killed.\n",
	.run = run,
	.groups = {{"Options", specs, 0}, {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
	.hidden = true,
};
