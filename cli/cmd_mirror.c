#include "base/clock.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "cli/say.h"
#include "cli/sources.h"
#include "machine/mirror.h"

#include <stdio.h>
#include <string.h>

#define WAIT_STEP_MS 200

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
	 .help = "start: overwrite files that exist, block devices and NBD exports"},
	{"rate", 0, OPTION_RATE, OPTION_FIELD(mirror_options, rate), .argument = "RATE", .min = 0,
	 .max = UINT64_MAX - 1, .help = "start, set: copy at most so much a second; 0: no limit"},
	{"on-slow", 0, OPTION_CHOICE, OPTION_FIELD(mirror_options, on_slow), .argument = "WHAT",
	 .choices = "wait drop-to-changes",
	 .help = "start, set: when guests write faster than a target takes it: wait slows them "
		 "down; drop-to-changes copies later (default)"},
	OPTIONS_END,
};

/* ---- what is told ---- */

static unsigned long long number_of(const struct json_t *object, const char *key)
{
	uint64_t number = 0;

	json_member_number(object, key, &number);
	return number;
}

static const char *text_of(const struct json_t *object, const char *key)
{
	return json_member_text(object, key) == NULL ? "?" : json_member_text(object, key);
}

static void print_drive(const struct json_t *drive)
{
	const char *state = json_member_text(drive, "state");
	char left[HUMAN_SIZE], copied[HUMAN_SIZE];

	say(stdout, "drive %s: %s", text_of(drive, "name"), text_of(drive, "target"));
	if (state != NULL)
		say(stdout, ": %s, %s left, %s copied", state,
		    human_size(left, number_of(drive, "left_bytes")),
		    human_size(copied, number_of(drive, "copied_bytes")));
	if (json_member_bool(drive, "stalled"))
		say(stdout, "; the target takes nothing");
	else if (json_member_bool(drive, "diverging"))
		say(stdout, "; guests write faster than the target takes it, so it does not get "
			    "there: --on-slow wait");
	if (json_member_text(drive, "error") != NULL)
		say(stdout, ": %s", json_member_text(drive, "error"));
	say(stdout, "\n");
}

static void print_mirror(const struct json_t *mirror)
{
	const struct json_t *drives = json_member(mirror, "drives");

	if (json_is_nothing(mirror)) {
		say(stdout, "mirror: none\n");
		return;
	}
	say(stdout, "mirror: %s\n", text_of(mirror, "phase"));
	for (size_t i = 0; i < json_length(drives); i++)
		print_drive(json_item(drives, i));
}

/* ---- actions ---- */

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
		print_mirror(json_member(*out, "mirror"));
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

	TRY(task->kind->pivot(&task->wish, out, err));
	report_note(task->report, "the guest is at its targets; it stood still for %s",
		    human_delay(time, number_of(*out, "standstill_ns")));
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
				       "--on-slow wait slows them down",
				       text_of(drive, "name"));
			*told = true;
		}
	}
	return in_sync;
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
	{"start", run_start}, {"status", run_status}, {"set", run_set},
	{"pivot", run_pivot}, {"abort", run_abort},   {"wait", run_wait},
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
	task->kind = &mirror_serve;
	TRY(source_place(words->items[1], SOURCE_SERVE, &task->wish.place, err));
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
	.help = "Copy drives of a running vmabak serve to targets, and keep these the same while\n"
		"guests write. pivot moves the guests to the targets, without losing a write;\n"
		"abort ends it, and with --state a later start copies only what changed.\n"
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
