#include "machine/freeze.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/patience.h"

#include <poll.h>
#include <stdio.h>

#define STEP_MS 5

/* ---- in the backup ---- */

static bool is_wanted(const struct machine_options *options)
{
	return options->freeze_command != NULL || options->guest_agent != NULL ||
	       options->quiesce != 0;
}

/* For all freezers together. */
static uint64_t limit_s(const struct machine_options *options)
{
	uint64_t limit_s = 0;

	if (options->freeze_command != NULL)
		limit_s += guard_limit_s(options, PATIENCE_FREEZE_COMMAND_S);
	if (options->guest_agent != NULL || options->quiesce != 0)
		limit_s += guard_limit_s(options, PATIENCE_FREEZE_GUEST_S);
	return limit_s;
}

static void warn(struct instant_outcome *out, const struct error *why)
{
	snprintf(out->thawing, sizeof(out->thawing), "%.900s; the machine may be frozen",
		 why->text);
}

static int fail_silent(struct error *err)
{
	return fail(err, ERR_SYSTEM, "the guard process does not answer");
}

/* Whether the guard has answered; *err says how freezing went. */
static bool freeze(const struct instant *instant, struct instant_outcome *out, struct error *err)
{
	struct guard_answer answer;
	int heard;

	guard_tell(instant->guard, GUARD_FREEZE, instant->thaw == NULL ? -1 : instant->connection);
	heard = guard_hear(instant->guard, GUARD_FREEZE,
			   limit_s(instant->options) + PATIENCE_GUARD_S, &answer, err);
	if (heard == 0)
		fail_silent(err);
	if (heard != 1)
		return false;
	out->n_frozen = answer.n_frozen;
	*err = answer.err;
	return true;
}

/* The guard, for the reason given, does not say that it has thawed. */
static void thaw_without_guard(const struct instant *instant, const struct error *why,
			       struct instant_outcome *out)
{
	struct error err = {0};

	if (instant->thaw == NULL)
		warn(out, why);
	else if (instant->thaw(instant->agent, &err) != 0)
		warn(out, &err);
}

/* Whether to go on though the guest was not frozen. */
static bool goes_on(const struct instant *instant, struct instant_outcome *out, struct error *err)
{
	if (instant->options->quiesce == QUIESCE_MUST)
		error_append(err, "; --quiesce=try continues without freezing");
	if (instant->options->quiesce != QUIESCE_TRY)
		return false;
	snprintf(out->unfrozen, sizeof(out->unfrozen), "%s", err->text);
	*err = (struct error){0};
	return true;
}

static int thaw(const struct instant *instant, struct instant_outcome *out, struct error *err)
{
	struct guard_answer answer;
	int heard;

	guard_tell(instant->guard, GUARD_THAW, -1);
	heard = guard_hear(instant->guard, GUARD_THAW, PATIENCE_THAW_S, &answer, err);
	if (heard == 1 && answer.err.code != 0)
		warn(out, &answer.err);
	if (heard == 1 && answer.in_time)
		return 0;
	if (heard == 1)
		return fail(err, ERR_SYSTEM,
			    "the snapshot was not taken within --freeze-timeout, so the machine "
			    "was thawed");
	if (heard == 0 && instant->thaw == NULL) {
		fail(err, ERR_SYSTEM,
		     "thawing takes longer than %d s, and continues in the background",
		     PATIENCE_THAW_S);
		warn(out, err);
		return 0;
	}
	if (heard == 0)
		fail_silent(err);
	thaw_without_guard(instant, err, out);
	return err->code;
}

int freeze_around(const struct instant *instant, struct instant_outcome *out, struct error *err)
{
	struct error thawing = {0};
	int64_t begun = clock_ms();
	bool answers, frozen;
	int code;

	if (!is_wanted(instant->options))
		return instant->begin(instant->context, err);
	answers = freeze(instant, out, err);
	frozen = err->code == 0;
	code = frozen || (answers && goes_on(instant, out, err)) ? 0 : err->code;
	if (code == 0)
		code = instant->begin(instant->context, err);
	if (!answers)
		thaw_without_guard(instant, err, out);
	else if (thaw(instant, out, &thawing) != 0 && frozen && code == 0) {
		*err = thawing;
		code = err->code;
	}
	out->frozen_ms = frozen ? (uint64_t)(clock_ms() - begun) : 0;
	return code;
}

int freeze_with_guard(struct instant *instant, const char *source, struct instant_outcome *out,
		      struct error *err)
{
	int code;

	instant->guard = NULL;
	if (is_wanted(instant->options))
		TRY(guard_start(&instant->guard, source, instant->options, NULL, err));
	code = freeze_around(instant, out, err);
	guard_end(instant->guard, true);
	return code;
}

/* ---- in the guard: commands ---- */

/* Whether the backup has gone, or gives up. */
static bool is_over(const struct freezing *attempt)
{
	struct pollfd one = {.fd = attempt->backup, .events = POLLIN};

	return poll(&one, 1, 0) > 0;
}

/* attempt: NULL: nothing cuts the command short. */
static int run(const char *option, const char *command, const struct freezing *attempt,
	       struct error *err)
{
	const char *const argv[] = {"sh", "-c", command, NULL};
	const struct child_options how = {
		.argv = argv,
		.program = "/bin/sh",
		.out = CHILD_AS_ERR,
		.err = CHILD_KEEP,
		.group = true,
		.secrets = true,
	};
	struct child child;
	bool killed = false, late;

	if (child_start(&child, &how, err) != 0) {
		error_prefix(err, "%s", option);
		return err->code;
	}
	while (!child_wait(&child, STEP_MS) && !killed)
		killed = attempt != NULL && (clock_ms() >= attempt->until_ms || is_over(attempt));
	child_close(&child); /* kills the group of a command that still runs */
	late = attempt != NULL && child.status == 0 && clock_ms() > attempt->until_ms;
	if (killed || late)
		return fail(err, ERR_SYSTEM, "%s: did not finish within %llu s", option,
			    (unsigned long long)attempt->limit_s);
	if (child.status != 0)
		return fail(err, ERR_SYSTEM, "%s: ended with code %d", option, child.status);
	return 0;
}

static int freeze_by_command(struct freezer *freezer, struct freezing *attempt, struct error *err)
{
	return run("--freeze-command", freezer->options->freeze_command, attempt, err);
}

/* Never cut short: half a thaw is worse than a late one. */
static int thaw_by_command(struct freezer *freezer, struct error *err)
{
	return run("--thaw-command", freezer->options->thaw_command, NULL, err);
}

const struct freezer_kind freezer_commands = {
	.limit_s = PATIENCE_FREEZE_COMMAND_S,
	.freeze = freeze_by_command,
	.thaw = thaw_by_command,
};
