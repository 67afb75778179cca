/*
 * The agent sends no greeting, and its answers carry no ids: answers to an earlier client, or to a
 * command that was given up, may arrive at any time. guest-sync-delimited clears that up: its
 * answer follows a byte that JSON cannot contain, and returns a number of ours. The same byte makes
 * the agent drop half a command that it may have read; it reports that as an error, in a line that
 * is skipped here.
 */
#include "machine/qemu/agent.h"

#include "base/clock.h"
#include "machine/qemu/line.h"
#include "base/json.h"
#include "base/patience.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define SYNC_MS	   (PATIENCE_AGENT_S * 1000)
#define THAW_MS	   (PATIENCE_AGENT_THAW_S * 1000)
#define STEP_MS	   100
#define MARK	   '\xff'
#define SHOWN_SIZE 200u

struct agent {
	struct line *line;
};

static int send_text(struct agent *agent, const char *text, int timeout_ms, struct error *err)
{
	return line_send(agent->line, text, strlen(text), timeout_ms, err);
}

static int fail_silent(const struct agent *agent, int timeout_ms, struct error *err)
{
	return fail(err, ERR_SYSTEM, "%s: no answer within %d s", line_name(agent->line),
		    timeout_ms / 1000);
}

/* Skips all lines before the answer with this number; there may be any number of them. */
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
	TRY(send_text(agent, text, timeout_ms, err));
	return wait_for_number(agent, number, timeout_ms, err);
}

/* The number that the command returns. */
static int read_number(const struct agent *agent, const char *command, struct json_t *answer,
		       uint64_t *number, struct error *err)
{
	const char *words = json_member_text(json_member(answer, "error"), "desc");
	char shown[SHOWN_SIZE];

	if (words == NULL && json_member_number(answer, "return", number))
		return 0;
	if (words == NULL)
		return fail(err, ERR_SYSTEM, "%s: unexpected answer to %s", line_name(agent->line),
			    command);
	escape_text(shown, sizeof(shown), (const uint8_t *)words, strlen(words));
	return fail(err, ERR_SYSTEM, "%s: %s: %s", line_name(agent->line), command, shown);
}

/* How long an answer is waited for. */
struct patience {
	int ms;
	int gone; /* readable: nobody needs it any more; -1: somebody always does */
};

static bool is_gone(const struct patience *patience)
{
	struct pollfd one = {.fd = patience->gone, .events = POLLIN};

	return patience->gone >= 0 && poll(&one, 1, 0) > 0;
}

static int execute(struct agent *agent, const char *command, const struct patience *patience,
		   uint64_t *number, struct error *err)
{
	int64_t until = clock_ms() + patience->ms;
	struct json_t *answer;
	char text[80], *line;
	size_t n;
	int got;

	snprintf(text, sizeof(text), "{\"execute\":\"%s\"}\n", command);
	TRY(send_text(agent, text, SYNC_MS, err));
	do {
		int64_t left = until - clock_ms();

		got = line_read(agent->line, left > STEP_MS ? STEP_MS : (int)left, &line, &n, err);
	} while (got == 0 && clock_ms() < until && !is_gone(patience));
	if (got == 0)
		return fail_silent(agent, patience->ms, err);
	if (got < 0)
		return got;
	answer = json_parse(line, n);
	got = read_number(agent, command, answer, number, err);
	json_free(answer);
	return got;
}

static int agent_new(struct agent **out, struct error *err)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? fail_memory(err) : 0;
}

int agent_open(struct agent **out, const char *path, int within_ms, struct error *err)
{
	struct agent *agent;
	int code;

	TRY(agent_new(&agent, err));
	code = line_open(&agent->line, "guest agent", path, err);
	if (code == 0)
		code = synchronise(agent, within_ms, err);
	if (code == 0)
		*out = agent;
	else
		agent_close(agent);
	return code;
}

int agent_fd(const struct agent *agent)
{
	return line_fd(agent->line);
}

int agent_adopt(struct agent **out, const char *path, int fd, struct error *err)
{
	struct agent *agent;

	if (agent_new(&agent, err) != 0) {
		close(fd);
		return err->code;
	}
	if (line_adopt(&agent->line, "guest agent", path, fd, err) < 0) {
		free(agent);
		return err->code;
	}
	*out = agent;
	return 0;
}

void agent_close(struct agent *agent)
{
	if (agent == NULL)
		return;
	line_close(agent->line);
	free(agent);
}

int agent_freeze(struct agent *agent, int timeout_ms, int gone, uint64_t *n, struct error *err)
{
	const struct patience patience = {timeout_ms, gone};
	int64_t until = clock_ms() + timeout_ms;

	TRY(execute(agent, "guest-fsfreeze-freeze", &patience, n, err));
	/* This process may have been stopped meanwhile. */
	return clock_ms() <= until ? 0 : fail_silent(agent, timeout_ms, err);
}

/* An agent that is still freezing answers the first synchronisation only when that is done. */
int agent_thaw(struct agent *agent, struct error *err)
{
	const struct patience patience = {THAW_MS, -1};
	uint64_t n;

	TRY(synchronise(agent, THAW_MS, err));
	return execute(agent, "guest-fsfreeze-thaw", &patience, &n, err);
}
