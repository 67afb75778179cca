#include "machine/qemu/instant.h"

#include "base/patience.h"
#include "machine/qemu/agent.h"

static int thaw_from_here(void *agent, struct error *err)
{
	return agent_thaw(agent, err);
}

/* The agent is looked for here, so that an agent that does not answer is told before anything is
 * frozen. */
int instant_take(struct instant *instant, struct instant_outcome *out, struct error *err)
{
	const char *path = instant->options->guest_agent;
	struct agent *agent;
	int code;

	if (path == NULL)
		return freeze_around(instant, out, err);
	TRY(agent_open(&agent, path, PATIENCE_AGENT_S * 1000, err));
	instant->thaw = thaw_from_here;
	instant->agent = agent;
	instant->connection = agent_fd(agent);
	code = freeze_around(instant, out, err);
	agent_close(agent);
	return code;
}

/* ---- in the guard ---- */

static int freeze(struct freezer *freezer, struct freezing *attempt, struct error *err)
{
	int connection = attempt->connection;
	struct agent *agent;
	uint64_t n = 0;

	attempt->connection = -1;
	TRY(agent_adopt(&agent, freezer->options->guest_agent, connection, err));
	freezer->state = agent;
	TRY(agent_freeze(agent, (int)attempt->limit_s * 1000, attempt->backup, &n, err));
	attempt->n_frozen += n;
	return 0;
}

static int thaw(struct freezer *freezer, struct error *err)
{
	int code = freezer->state == NULL ? 0 : agent_thaw(freezer->state, err);

	agent_close(freezer->state);
	freezer->state = NULL;
	return code;
}

const struct freezer_kind freezer_agent = {
	.limit_s = PATIENCE_FREEZE_GUEST_S,
	.freeze = freeze,
	.thaw = thaw,
};
