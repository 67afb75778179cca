/*
 * The agent has no greeting and no ids, and answers of a client before us, or to a command that we
 * gave up, may come at any time. guest-sync-delimited clears that up: its answer follows a byte
 * that cannot be in JSON, and holds a number of ours. The byte also has the agent forget half a
 * command that it may have read; that is an error of its own, told in a line that we skip.
 */
#include "machine/qemu/agent.h"

#include "base/clock.h"
#include "machine/qemu/line.h"
#include "base/json.h"
#include "cli/memory.h"
#include "base/patience.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SYNC_MS	   (PATIENCE_AGENT_S * 1000)
#define THAW_MS	   (PATIENCE_AGENT_THAW_S * 1000)
#define MARK	   '\xff'
#define SHOWN_SIZE 200u

struct agent {
	struct line *line;
};

static int send_text(struct agent *agent, const char *text, struct error *err)
{
	return line_send(agent->line, text, strlen(text), SYNC_MS, err);
}

static int fail_silent(const struct agent *agent, int timeout_ms, struct error *err)
{
	return fail(err, ERR_SYSTEM, "%s: no answer within %d s", line_name(agent->line),
		    timeout_ms / 1000);
}

/* Skips what comes until the answer to this number; it may come without end. */
static int wait_for_number(struct agent *agent, uint64_t number, int timeout_ms, struct error *err)
{
	int64_t until = clock_ms() + timeout_ms;

	for (;;) {
		int64_t left = until - clock_ms();
		struct json_t *answer;
		uint64_t found = 0;
		size_t n;
		char *line;
		int got = left < 0 ? 0 : line_read(agent->line, (int)left, &line, &n, err);

		if (got < 0)
			return got;
		if (got == 0)
			return fail_silent(agent, timeout_ms, err);
		if (*line != MARK)
			continue;
		answer = json_parse(line + 1, n - 1);
		json_member_number(answer, "return", &found);
		json_free(answer);
		if (found == number)
			return 0;
	}
}

static int synchronise(struct agent *agent, int timeout_ms, struct error *err)
{
	char text[120];
	uint32_t number = 1;

	if (getrandom(&number, sizeof(number), 0) < 0 || number == 0)
		number = 1;
	snprintf(text, sizeof(text),
		 "%c{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%u}}\n", MARK,
		 number);
	if (send_text(agent, text, err) < 0)
		return err->code;
	return wait_for_number(agent, number, timeout_ms, err);
}

/* The number that the command returns. */
static int execute(struct agent *agent, const char *command, int timeout_ms, uint64_t *number,
		   struct error *err)
{
	char *text = memory_text("{\"execute\":\"%s\"}\n", command), *line;
	char shown[SHOWN_SIZE];
	struct json_t *answer;
	const char *words;
	size_t n;
	int got = send_text(agent, text, err);

	free(text);
	if (got == 0)
		got = line_read(agent->line, timeout_ms, &line, &n, err);
	if (got < 0)
		return got;
	if (got == 0)
		return fail_silent(agent, timeout_ms, err);
	answer = json_parse(line, n);
	words = json_member_text(json_member(answer, "error"), "desc");
	if (words != NULL)
		got = fail(
			err, ERR_SYSTEM, "%.120s: %s: %s", line_name(agent->line), command,
			escape_text(shown, sizeof(shown), (const uint8_t *)words, strlen(words)));
	else if (!json_member_number(answer, "return", number))
		got = fail(err, ERR_SYSTEM, "%s: says what makes no sense",
			   line_name(agent->line));
	else
		got = 0;
	json_free(answer);
	return got;
}

int agent_open(struct agent **out, const char *path, struct error *err)
{
	struct agent *agent = memory_new(1, sizeof(*agent));
	int result = line_open(&agent->line, "guest agent", path, err);

	if (result == 0)
		result = synchronise(agent, SYNC_MS, err);
	if (result < 0) {
		agent_close(agent);
		return result;
	}
	*out = agent;
	return 0;
}

int agent_fd(const struct agent *agent)
{
	return line_fd(agent->line);
}

struct agent *agent_adopt(const char *path, int fd)
{
	struct agent *agent = memory_new(1, sizeof(*agent));

	agent->line = line_adopt("guest agent", path, fd);
	return agent;
}

void agent_close(struct agent *agent)
{
	if (agent == NULL)
		return;
	line_close(agent->line);
	free(agent);
}

int agent_freeze(struct agent *agent, int timeout_ms, uint64_t *n, struct error *err)
{
	int64_t until = clock_ms() + timeout_ms;
	int result = execute(agent, "guest-fsfreeze-freeze", timeout_ms, n, err);

	/* This process may have been stopped meanwhile. */
	if (result == 0 && clock_ms() > until)
		return fail_silent(agent, timeout_ms, err);
	return result;
}

/* An agent that is still freezing answers the first synchronising only when that is done. */
int agent_thaw(struct agent *agent, struct error *err)
{
	uint64_t n;

	if (synchronise(agent, THAW_MS, err) < 0)
		return err->code;
	return execute(agent, "guest-fsfreeze-thaw", THAW_MS, &n, err);
}
