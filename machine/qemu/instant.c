#include "machine/qemu/instant.h"

#include "machine/qemu/agent.h"
#include "base/clock.h"
#include "machine/guard.h"
#include "base/json.h"
#include "machine/qemu/qmp.h"

#include <stdio.h>

#define FREEZE_DEFAULT_S 30

uint64_t instant_freeze_timeout(const struct machine_options *options)
{
	return options->freeze_timeout == 0 ? FREEZE_DEFAULT_S : options->freeze_timeout;
}

static int thaw(struct agent *agent, struct guard *guard, struct instant_outcome *outcome,
		struct error *err)
{
	struct error warning = {0};
	int result = guard_thaw(guard, agent, &warning, err);

	snprintf(outcome->thawing, sizeof(outcome->thawing), "%s", warning.text);
	return result;
}

/* A freeze that failed or took too long may still come about, so it is thawed in any case. */
int instant_start(int (*start)(void *context, struct error *err), void *context,
		  const struct machine_options *options, struct guard *guard, struct instant_outcome *outcome,
		  struct error *err)
{
	struct error thawing = {0};
	struct agent *agent;
	int64_t begun;
	int result;

	if (options->guest_agent == NULL)
		return start(context, err);
	if (agent_open(&agent, options->guest_agent, err) < 0)
		return err->code;
	begun = clock_ms();
	result = guard_freeze(guard, agent, instant_freeze_timeout(options), &outcome->n_frozen, err);
	if (result == 0)
		result = start(context, err);
	if (thaw(agent, guard, outcome, &thawing) < 0 && result == 0) {
		*err = thawing;
		result = err->code;
	}
	outcome->frozen_ms = (uint64_t)(clock_ms() - begun);
	agent_close(agent);
	return result;
}

int instant_transaction(struct qmp *qmp, struct json_t *arguments, struct instant_outcome *outcome,
			struct error *err)
{
	int64_t begun = clock_ms();
	int result = qmp_execute(qmp, "transaction", arguments, NULL, err);

	outcome->instant_ms = (uint64_t)(clock_ms() - begun);
	return result;
}
