#include "machine/qemu/qmp.h"

#include "base/clock.h"
#include "machine/qemu/line.h"
#include "base/json.h"
#include "cli/memory.h"
#include "base/patience.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GREETING_MS (PATIENCE_GREETING_S * 1000)
#define ANSWER_MS   (PATIENCE_QMP_S * 1000)
#define SHOWN_SIZE  240u

struct qmp {
	struct line *line;
	struct json_t *greeting; /* owned */
	uint64_t last_id;
	bool broken;
};

bool qmp_works(const struct qmp *qmp)
{
	return !qmp->broken;
}

bool qmp_peer(const struct qmp *qmp, struct ucred *peer)
{
	return line_peer(qmp->line, peer);
}

const struct json_t *qmp_greeting(const struct qmp *qmp)
{
	return qmp->greeting;
}

static int fail_nonsense(const struct qmp *qmp, struct error *err)
{
	return fail(err, ERR_SYSTEM, "%s: says what is no QMP", line_name(qmp->line));
}

/* The next document. 1, or 0: not in time. */
static int receive(struct qmp *qmp, int timeout_ms, struct json_t **out, struct error *err)
{
	size_t n;
	char *line;
	int got = line_read(qmp->line, timeout_ms, &line, &n, err);

	if (got <= 0)
		return got;
	*out = json_parse(line, n);
	return *out == NULL ? fail_nonsense(qmp, err) : 1;
}

static int send_command(struct qmp *qmp, const char *command, struct json_t *arguments,
			struct error *err)
{
	struct json_t *request = json_new();
	char *line, *text;
	int result;

	json_put_text(request, "execute", command);
	json_put(request, "arguments", arguments);
	json_put_number(request, "id", ++qmp->last_id);
	line = json_line(request);
	json_free(request);
	if (line == NULL)
		memory_give_up();
	text = memory_text("%s\r\n", line);
	result = line_send(qmp->line, text, strlen(text), ANSWER_MS, err);
	free(text);
	free(line);
	return result;
}

/* What the answer says. QEMU's words may quote what a guest or an image brought in. */
static int take_answer(struct qmp *qmp, const char *command, struct json_t *answer,
		       struct json_t **out, struct error *err)
{
	const struct json_t *error = json_member(answer, "error");
	struct json_t *value = json_member(answer, "return");
	const char *words = json_member_text(error, "desc");
	char shown[SHOWN_SIZE];

	if (words != NULL)
		return fail(
			err, ERR_SYSTEM, "%.120s: %s: %s", line_name(qmp->line), command,
			escape_text(shown, sizeof(shown), (const uint8_t *)words, strlen(words)));
	if (value == NULL) {
		qmp->broken = true;
		return fail_nonsense(qmp, err);
	}
	if (out != NULL)
		*out = json_share(value);
	return 0;
}

/* Waits for the answer with our id; others are of nobody, and may come without end. */
static int find_answer(struct qmp *qmp, const char *command, struct json_t **out, struct error *err)
{
	int64_t until = clock_ms() + ANSWER_MS;

	for (;;) {
		int64_t left = until - clock_ms();
		struct json_t *answer;
		uint64_t id;
		int got = left < 0 ? 0 : receive(qmp, (int)left, &answer, err);

		if (got == 0)
			return fail(err, ERR_SYSTEM, "%.120s: %s: no answer within %d s",
				    line_name(qmp->line), command, ANSWER_MS / 1000);
		if (got < 0)
			return got;
		if (json_member_number(answer, "id", &id) && id == qmp->last_id) {
			*out = answer;
			return 0;
		}
		json_free(answer);
	}
}

int qmp_execute(struct qmp *qmp, const char *command, struct json_t *arguments, struct json_t **out,
		struct error *err)
{
	struct json_t *answer = NULL;
	int result;

	if (qmp->broken) {
		json_free(arguments);
		return fail(err, ERR_SYSTEM, "%.120s: %s: the connection is lost",
			    line_name(qmp->line), command);
	}
	result = send_command(qmp, command, arguments, err);
	if (result == 0)
		result = find_answer(qmp, command, &answer, err);
	if (result < 0) {
		qmp->broken = true;
		return result;
	}
	result = take_answer(qmp, command, answer, out, err);
	json_free(answer);
	return result;
}

bool qmp_wait(struct qmp *qmp, int timeout_ms)
{
	struct json_t *event;
	struct error ignored;
	int got;

	if (qmp->broken)
		return false;
	got = receive(qmp, timeout_ms, &event, &ignored);
	if (got == 1)
		json_free(event);
	qmp->broken = got < 0;
	return got != 0;
}

static int greet(struct qmp *qmp, struct error *err)
{
	struct json_t *greeting, *said;
	int got = receive(qmp, GREETING_MS, &greeting, err);

	if (got == 0)
		return fail(err, ERR_LOCKED, "%s: does not greet: another program may be using it",
			    line_name(qmp->line));
	if (got < 0)
		return got;
	said = json_member(greeting, "QMP");
	qmp->greeting = said == NULL ? NULL : json_share(said);
	json_free(greeting);
	if (qmp->greeting == NULL)
		return fail_nonsense(qmp, err);
	return qmp_execute(qmp, "qmp_capabilities", NULL, NULL, err);
}

int qmp_open(struct qmp **out, const char *path, struct error *err)
{
	struct qmp *qmp = memory_new(1, sizeof(*qmp));
	int result = line_open(&qmp->line, "QMP", path, err);

	if (result == 0)
		result = greet(qmp, err);
	if (result < 0) {
		qmp_close(qmp);
		return result;
	}
	*out = qmp;
	return 0;
}

int qmp_again(struct qmp **qmp, struct qmp **own, const char *path, bool *gone, struct error *err)
{
	*gone = false;
	if (qmp_works(*qmp))
		return 0;
	if (qmp_open(own, path, err) < 0) {
		*gone = err->sys == ECONNREFUSED || err->sys == ENOENT;
		return err->code;
	}
	*qmp = *own;
	return 0;
}

void qmp_close(struct qmp *qmp)
{
	if (qmp == NULL)
		return;
	line_close(qmp->line);
	json_free(qmp->greeting);
	free(qmp);
}
