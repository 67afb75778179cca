#include "base/clock.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "cli/sources.h"
#include "cli/tell_mirror.h"
#include "cli/signals.h"
#include "machine/mirror.h"
#include "machine/qemu/mirror.h"

#include <stdio.h>
#include <string.h>

#define WAIT_STEP_MS 200
#define KEEP_FD	     3

struct mirror_options {
	struct common_options common;
	struct mirror_wish wish;
	uint64_t rate;
	unsigned on_slow; /* 1: wait */
};

static const struct mirror_options defaults = {
	.common = {COMMON_DEFAULTS},
	.rate = UINT64_MAX,
};

static const struct option_spec specs[] = {
	{"drive", 'd', OPTION_LIST, OPTION_FIELD(mirror_options, wish.targets),
	 .argument = "NAME=TARGET",
	 .help = "start: mirror this drive to a file, block device or NBD URI; may be repeated"},
	{"state", 0, OPTION_TEXT, OPTION_FIELD(mirror_options, wish.state), .argument = "FILE",
	 .help = "start: keep here what the targets have, so that a later start copies changes "
		 "only"},
	{"force", 0, OPTION_FLAG, OPTION_FIELD(mirror_options, wish.force),
	 .help = "start: overwrite files that exist, block devices and NBD exports; abort, qemu: "
		 "remove what states that are lost have left"},
	{"nbd-server", 0, OPTION_TEXT, OPTION_FIELD(mirror_options, wish.server),
	 .argument = "SOCKET", .help = "start, qemu: the NBD server that QEMU has already",
	 .sources = SOURCE_QEMU},
	{"rate", 0, OPTION_RATE, OPTION_FIELD(mirror_options, rate), .argument = "RATE", .min = 0,
	 .max = UINT64_MAX - 1, .help = "start, set: copy at most so much a second; 0: no limit"},
	{"on-slow", 0, OPTION_CHOICE, OPTION_FIELD(mirror_options, on_slow), .argument = "WHAT",
	 .choices = "wait drop-to-changes",
	 .help = "start, set: when guests write faster than a target takes it: wait slows them "
		 "down; drop-to-changes copies later (default)"},
	OPTIONS_END,
};

/* ---- actions ---- */

static const char *text_of(const struct json_t *object, const char *key)
{
	return json_member_text(object, key) == NULL ? "?" : json_member_text(object, key);
}

struct task {
	const struct mirror_kind *kind;
	struct mirror_wish wish;
	struct report *report;
};

static int run_start(struct task *task, struct json_t **out, struct error *err)
{
	if (task->wish.targets.n == 0)
		return fail(err, ERR_USAGE, "mirror start: needs -d NAME=TARGET");
	return task->kind->start(&task->wish, out, err);
}

static int run_status(struct task *task, struct json_t **out, struct error *err)
{
	TRY(task->kind->status(&task->wish, out, err));
	if (task->report->result == NULL)
		tell_mirror(json_member(*out, "mirror"));
	return 0;
}

static int run_set(struct task *task, struct json_t **out, struct error *err)
{
	if (!task->wish.has_rate && !task->wish.has_on_slow)
		return fail(err, ERR_USAGE, "mirror set: needs --rate or --on-slow");
	return task->kind->set(&task->wish, out, err);
}

static int run_pivot(struct task *task, struct json_t **out, struct error *err)
{
	char time[HUMAN_SIZE];
	uint64_t standstill_ns = 0;

	TRY(task->kind->pivot(&task->wish, out, err));
	json_member_number(*out, "standstill_ns", &standstill_ns);
	report_note(task->report, "the guest is at its targets; it stood still for %s",
		    human_delay(time, standstill_ns));
	return 0;
}

static int run_abort(struct task *task, struct json_t **out, struct error *err)
{
	return task->kind->abort(&task->wish, out, err);
}

/* 1: all are in sync, 0: not yet. */
static int judge(struct task *task, const struct json_t *mirror, bool *told, struct error *err)
{
	const struct json_t *drives = json_member(mirror, "drives");
	int in_sync = 1;

	if (strcmp(text_of(mirror, "phase"), "killed") == 0)
		return fail(
			err, ERR_SYSTEM,
			"the process that copied has ended: start the mirror again, or abort it");
	if (strcmp(text_of(mirror, "phase"), "running") != 0)
		return fail(err, ERR_USAGE, "no mirror is running");
	for (size_t i = 0; i < json_length(drives); i++) {
		const struct json_t *drive = json_item(drives, i);
		const char *state = text_of(drive, "state");

		if (strcmp(state, "failed") == 0)
			return fail(err, ERR_SYSTEM, "drive %s: %s", text_of(drive, "name"),
				    text_of(drive, "error"));
		if (strcmp(state, "in sync") != 0)
			in_sync = 0;
		if (json_member_bool(drive, "diverging") && !*told) {
			report_warning(task->report,
				       "drive %s: guests write faster than the target takes it; "
				       "%s",
				       text_of(drive, "name"), tell_mirror_remedy(mirror));
			*told = true;
		}
	}
	return in_sync;
}

/* The process that start has made, with a socket as descriptor 3. */
static int run_keep(struct task *task, struct json_t **out, struct error *err)
{
	(void)out;
	if (task->kind != &mirror_qemu)
		return fail(err, ERR_USAGE, "keep is started by start");
	return mirror_keep(KEEP_FD, task->wish.place, &task->report->watcher, err);
}

static int run_wait(struct task *task, struct json_t **out, struct error *err)
{
	bool told = false;
	int done = 0;

	while (done == 0) {
		json_free(*out);
		*out = NULL;
		TRY(task->kind->status(&task->wish, out, err));
		done = judge(task, json_member(*out, "mirror"), &told, err);
		if (done == 0)
			clock_sleep_ms(WAIT_STEP_MS);
	}
	return done > 0 ? 0 : done;
}

/* ---- the command ---- */

static const struct action {
	const char *word;
	int (*run)(struct task *task, struct json_t **out, struct error *err);
} actions[] = {
	{"start", run_start}, {"status", run_status}, {"set", run_set},	  {"pivot", run_pivot},
	{"abort", run_abort}, {"wait", run_wait},     {"keep", run_keep},
};

static const struct action *find_action(const char *word)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].word, word) == 0)
			return &actions[i];
	}
	return NULL;
}

static int act(struct task *task, const struct strings *words, struct json_t **out,
	       struct error *err)
{
	const struct action *action = find_action(words->items[0]);

	if (action == NULL)
		return fail(err, ERR_USAGE,
			    "'%.60s': must be start, status, set, pivot, abort or wait",
			    words->items[0]);
	task->kind = &mirror_qemu;
	if (source_of(words->items[1], &task->wish.place) != SOURCE_QEMU) {
		task->kind = &mirror_serve;
		TRY(source_place(words->items[1], SOURCE_SERVE, &task->wish.place, err));
	}
	return action->run(task, out, err);
}

static int run(const void *given, struct report *report)
{
	const struct mirror_options *options = given;
	struct task task = {.wish = options->wish, .report = report};
	struct json_t *out = NULL;
	struct error err = {0};

	task.wish.has_rate = options->rate != UINT64_MAX;
	task.wish.rate = options->rate;
	task.wish.has_on_slow = options->on_slow != 0;
	task.wish.hold = options->on_slow == 1;
	if (act(&task, &options->common.arguments, &out, &err) == 0 && out != NULL)
		json_put_all(report->result, out);
	json_free(out);
	return err.code < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}

const struct command command_mirror = {
	.name = "mirror",
	.usage = "start|status|set|pivot|abort|wait SOURCE [OPTION]...",
	.operand = "SOURCE",
	.summary = "mirror drives while guests write, and move guests to them",
	.help = "Copy drives of a running vmabak serve, or of a running QEMU, to targets, and\n"
		"keep these the same while guests write. pivot moves the guests to the targets,\n"
		"without losing a write; abort ends it, and with --state a later start copies\n"
		"only what changed. SOURCE is serve:SOCKET or qemu:SOCKET.\n"
		"\n"
		"Example:\n"
		"  vmabak mirror start serve:web.sock -d sda=/new/sda.raw --state sda.mirror\n"
		"  vmabak mirror wait serve:web.sock\n"
		"  vmabak mirror pivot serve:web.sock\n",
	.run = run,
	.groups = {{"Options", specs, 0}, {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = 2,
};
