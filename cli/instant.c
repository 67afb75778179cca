#include "cli/instant.h"

#include "cli/agent.h"
#include "cli/channel.h"
#include "cli/guard.h"
#include "cli/json.h"
#include "cli/qmp.h"

#include <stdio.h>

#define FREEZE_DEFAULT_S 30

static void thaw(struct agent *agent, struct guard *guard, int64_t begun,
		 struct instant_story *story)
{
	struct error err;

	if (agent_thaw(agent, &err) < 0)
		snprintf(story->thawing, sizeof(story->thawing), "%s", err.text);
	story->frozen_ms = (uint64_t)(channel_now_ms() - begun);
	guard_frozen(guard, false);
}

/* A freeze that failed or took too long may still come about, so it is thawed in any case. */
int instant_start(int (*start)(void *context, struct error *err), void *context,
		  const struct options *options, struct guard *guard, struct instant_story *story,
		  struct error *err)
{
	uint64_t freeze_s =
		options->freeze_timeout == 0 ? FREEZE_DEFAULT_S : options->freeze_timeout;
	struct agent *agent;
	int64_t begun;
	int result;

	if (options->guest_agent == NULL)
		return start(context, err);
	if (agent_open(&agent, options->guest_agent, err) < 0)
		return err->code;
	guard_frozen(guard, true);
	begun = channel_now_ms();
	result = agent_freeze(agent, (int)freeze_s * 1000, &story->n_frozen, err);
	if (result == 0)
		result = start(context, err);
	thaw(agent, guard, begun, story);
	agent_close(agent);
	return result;
}

int instant_transaction(struct qmp *qmp, struct json_t *arguments, struct instant_story *story,
			struct error *err)
{
	int64_t begun = channel_now_ms();
	int result = qmp_execute(qmp, "transaction", arguments, NULL, err);

	story->instant_ms = (uint64_t)(channel_now_ms() - begun);
	return result;
}
