/*
 * vmabak guard [OPTION]... SOURCE [ID]: the process that machine/guard.c starts, with a socket as
 * descriptor 3. It freezes and thaws the machine SOURCE for the backup at the other end, and cleans
 * up after run ID when that has gone.
 */
#include "cli/groups.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/sources.h"
#include "machine/freeze.h"
#include "machine/held.h"
#include "machine/qemu/clean_up.h"
#include "machine/qemu/instant.h"
#include "machine/rundir.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#if HAVE_LIBVIRT
#include "machine/libvirt/clean_up.h"
#include "machine/libvirt/freeze.h"
#endif

struct guard_options {
	struct common_options common;
	struct machine_options machine;
};

static const struct guard_options defaults = {
	.common = {COMMON_DEFAULTS},
	.machine = {MACHINE_DEFAULTS},
};

static const struct option_spec specs[] = {
	{"checkpoint", 0, OPTION_TEXT, OPTION_FIELD(machine_options, checkpoint),
	 .argument = "NAME", .help = "libvirt: remove this checkpoint of the backup",
	 .sources = SOURCE_LIBVIRT},
	OPTIONS_END,
};

static void add(struct freezer *freezers, unsigned *n, const struct freezer_kind *kind,
		const struct machine_options *options)
{
	freezers[(*n)++] = (struct freezer){.kind = kind, .options = options};
}

/* The backup's last word, once it has gone. */
static char serve(const struct machine_options *options, struct held *held)
{
	struct freezer freezers[3];
	unsigned n = 0;

	if (options->freeze_command != NULL)
		add(freezers, &n, &freezer_commands, options);
	if (options->guest_agent != NULL)
		add(freezers, &n, &freezer_agent, options);
#if HAVE_LIBVIRT
	if (options->quiesce != 0)
		add(freezers, &n, &freezer_domain, options);
#endif
	return guard_serve(GUARD_FD, freezers, n, held);
}

/* What QEMU still exports must not be hung up on, so that the guard stays for as long as it takes.
 */
static int clean_up(enum source_kind kind, const struct machine_options *options, const char *id,
		    char last, struct held *held, struct error *err)
{
	int code = 0;

	if (last != GUARD_DONE)
		held_begin(held);
	if (kind == SOURCE_QEMU && last != GUARD_DONE)
		code = qemu_clean_up(options, id, last, err);
#if HAVE_LIBVIRT
	if (kind == SOURCE_LIBVIRT)
		code = libvirt_clean_up(options, id, last, err);
#endif
	if (last != GUARD_DONE)
		held_wait(held);
	held_close(held);
	return code;
}

static int run(const void *given, struct report *report)
{
	const struct guard_options *guard = given;
	const struct strings *arguments = &guard->common.arguments;
	const char *id = arguments->n > 1 ? arguments->items[1] : "";
	struct machine_options options = guard->machine;
	enum source_kind kind = source_of(arguments->items[0], &options.place);
	struct error err = {0};
	struct held held = {.n = 0};
	char last;
	int code;

	if ((kind & SOURCE_MACHINE) == 0 ||
	    strlen(id) != (kind == SOURCE_SERVE ? 0 : RUN_ID_SIZE - 1)) {
		fail(&err, ERR_USAGE, "guard is started by backup");
		return report_error(report, NULL, &err);
	}
	signals_outlive();
	signal(SIGXFSZ, SIG_DFL); /* for the user's commands */
	last = serve(&options, &held);
	/* A reader of the backup's messages need not wait for what follows. */
	dup2(STDIN_FILENO, STDERR_FILENO);
	code = clean_up(kind, &options, id, last, &held, &err);
	return code < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}

const struct command command_guard = {
	.name = "guard",
	.usage = "[OPTION]... SOURCE [ID]",
	.summary = "freeze, thaw and clean up for a backup that starts it",
	.help = "Freeze and thaw a machine for the backup at descriptor 3, and clean up after "
		"it.\n",
	.run = run,
	.groups = {{"Consistency", consistency_specs, offsetof(struct guard_options, machine)},
		   {"A running machine", running_specs, offsetof(struct guard_options, machine)},
		   {NULL, specs, offsetof(struct guard_options, machine)},
		   {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 2,
	.hidden = true,
};
