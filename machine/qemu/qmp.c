#include "machine/qemu/qmp.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/patience.h"
#include "base/tcp.h"
#include "base/text.h"
#include "machine/qemu/line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GREETING_MS (PATIENCE_GREETING_S * 1000)
#define ANSWER_MS   (PATIENCE_QMP_S * 1000)
#define POSTED_MAX  64u /* commands without an answer */

struct qmp {
	struct line *line;
	struct json_t *greeting; /* owned */
	struct qmp_abilities abilities;
	int64_t last_id;
	bool broken;
	bool heard;			/* an event, of which qmp_wait has not returned yet */
	char refusal[240];		/* escaped */
	unsigned n_posted;		/* the last ones that were sent: not answered yet */
	const char *posted[POSTED_MAX]; /* what they are called, by id */
	unsigned n_refused;		/* of those posted since qmp_settle */
	struct error refused;		/* the first of them */
};

bool qmp_works(const struct qmp *qmp)
{
	return !qmp->broken;
}

struct qmp_abilities *qmp_abilities(struct qmp *qmp)
{
	return &qmp->abilities;
}

bool qmp_peer(const struct qmp *qmp, struct ucred *peer)
{
	return line_peer(qmp->line, peer);
}

bool qmp_group(const struct qmp *qmp, gid_t *group)
{
	struct ucred peer;

	if (geteuid() != 0 || !qmp_peer(qmp, &peer) || peer.uid == 0)
		return false;
	*group = peer.gid;
	return true;
}

const struct json_t *qmp_greeting(const struct qmp *qmp)
{
	return qmp->greeting;
}

bool qmp_outlives_clients(const struct qmp *qmp)
{
	const struct json_t *version =
		json_member(json_member(qmp_greeting(qmp), "version"), "qemu");
	uint64_t major = 0, minor = 0;

	json_member_number(version, "major", &major);
	json_member_number(version, "minor", &minor);
	return major > 8 || (major == 8 && minor >= 2);
}

const char *qmp_refusal(const struct qmp *qmp)
{
	return qmp->refusal;
}

static int fail_nonsense(const struct qmp *qmp, struct error *err)
{
	return fail(err, ERR_SYSTEM, "%s: not a QMP monitor (unexpected reply)",
		    line_name(qmp->line));
}

/* The next document. 1, or 0: not in time. */
static int receive(struct qmp *qmp, int timeout_ms, struct json_t **out, struct error *err)
{
	size_t n;
	char *line;
	int got = line_read(qmp->line, timeout_ms, &line, &n, err);

	if (got <= 0)
		return got;
	errno = 0;
	*out = json_parse(line, n);
	if (*out == NULL)
		return errno == ENOMEM ? fail_memory(err) : fail_nonsense(qmp, err);
	return 1;
}

/* Takes the arguments over; NULL: none. */
static int send_command(struct qmp *qmp, const char *command, struct json_t *arguments,
			struct error *err)
{
	struct json_t *request = json_make("{s:s, s:o*, s:I}", "execute", command, "arguments",
					   arguments, "id", ++qmp->last_id);
	char *words = json_line(request), *line = words == NULL ? NULL : text_make("%s\n", words);
	int code = line == NULL ? fail_memory(err) : 0;

	json_free(request);
	free(words);
	if (code == 0)
		code = line_send(qmp->line, line, strlen(line), ANSWER_MS, err);
	free(line);
	return code;
}

/* What the answer says. QEMU's words may quote what a guest or an image brought in. */
static int take_answer(struct qmp *qmp, const char *command, struct json_t *answer,
		       struct json_t **out, struct error *err)
{
	const struct json_t *error = json_member(answer, "error");
	struct json_t *value = json_member(answer, "return");
	const char *words = json_member_text(error, "desc");

	if (words != NULL)
		return fail(err, ERR_SYSTEM, "%.120s: %s: %s", line_name(qmp->line), command,
			    escape_text(qmp->refusal, sizeof(qmp->refusal), (const uint8_t *)words,
					strlen(words)));
	if (value == NULL) {
		qmp->broken = true;
		return fail_nonsense(qmp, err);
	}
	if (out != NULL)
		*out = json_share(value);
	return 0;
}

/* Waits for the answer with this id of ours. Ignores replies with other ids; the peer may send any
 * number of them. */
static int find_answer(struct qmp *qmp, int64_t wanted, const char *command, struct json_t **out,
		       struct error *err)
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
		if (json_member_number(answer, "id", &id) && id == (uint64_t)wanted) {
			*out = answer;
			return 0;
		}
		if (json_member(answer, "event") != NULL)
			qmp->heard = true;
		json_free(answer);
	}
}

/* Takes the arguments over. */
static int send_if_works(struct qmp *qmp, const char *command, struct json_t *arguments,
			 struct error *err)
{
	int code;

	if (qmp->broken) {
		json_free(arguments);
		return fail(err, ERR_SYSTEM, "%.120s: %s: the connection is lost",
			    line_name(qmp->line), command);
	}
	code = send_command(qmp, command, arguments, err);
	qmp->broken = code < 0;
	return code;
}

static int receive_answer(struct qmp *qmp, int64_t id, const char *command, struct json_t **out,
			  struct error *err)
{
	struct json_t *answer = NULL;
	int code = find_answer(qmp, id, command, &answer, err);

	if (code < 0) {
		qmp->broken = true;
		return code;
	}
	code = take_answer(qmp, command, answer, out, err);
	json_free(answer);
	return code;
}

/* *out: NULL: there are none. */
static int make_arguments(const struct qmp *qmp, const char *command, const char *format,
			  va_list list, struct json_t **out, struct error *err)
{
	*out = format == NULL ? NULL : json_make_v(format, list);
	if (*out == NULL && format != NULL)
		return fail(err, ERR_SYSTEM, "%.120s: %s: out of memory, or a name is not UTF-8",
			    line_name(qmp->line), command);
	return 0;
}

/* The oldest. Negative: the connection is lost. */
static int take_posted(struct qmp *qmp, struct error *err)
{
	int64_t id = qmp->last_id - --qmp->n_posted;
	const char *command = qmp->posted[id % POSTED_MAX];
	struct error one = {0};

	if (qmp->broken)
		return fail(err, ERR_SYSTEM, "%.120s: %s: the connection is lost",
			    line_name(qmp->line), command);
	if (receive_answer(qmp, id, command, NULL, &one) == 0)
		return 0;
	if (qmp->broken) {
		*err = one;
		return err->code;
	}
	if (qmp->n_refused++ == 0)
		qmp->refused = one;
	return 0;
}

int qmp_settle(struct qmp *qmp, unsigned *n_refused, struct error *err)
{
	unsigned n;
	int code = 0;

	while (qmp->n_posted > 0 && code == 0)
		code = take_posted(qmp, err);
	n = qmp->n_refused;
	qmp->n_posted = qmp->n_refused = 0;
	if (n_refused != NULL)
		*n_refused = n;
	if (code == 0 && n > 0) {
		*err = qmp->refused;
		code = err->code;
	}
	return code;
}

int qmp_execute(struct qmp *qmp, struct json_t **out, struct error *err, const char *command,
		const char *arguments, ...)
{
	struct json_t *object;
	struct error ignored;
	va_list list;
	int code;

	if (qmp->n_posted > 0) /* posting failed */
		qmp_settle(qmp, NULL, &ignored);
	qmp->refusal[0] = '\0';
	va_start(list, arguments);
	code = make_arguments(qmp, command, arguments, list, &object, err);
	va_end(list);
	if (code == 0)
		code = send_if_works(qmp, command, object, err);
	return code == 0 ? receive_answer(qmp, qmp->last_id, command, out, err) : code;
}

int qmp_post(struct qmp *qmp, struct error *err, const char *command, const char *arguments, ...)
{
	struct json_t *object;
	va_list list;
	int code;

	if (qmp->n_posted == 0 && qmp->n_refused == 0)
		qmp->refusal[0] = '\0';
	if (qmp->n_posted == POSTED_MAX)
		TRY(take_posted(qmp, err));
	va_start(list, arguments);
	code = make_arguments(qmp, command, arguments, list, &object, err);
	va_end(list);
	if (code == 0)
		code = send_if_works(qmp, command, object, err);
	if (code < 0)
		return code;
	qmp->posted[qmp->last_id % POSTED_MAX] = command;
	qmp->n_posted++;
	return 0;
}

bool qmp_wait(struct qmp *qmp, int timeout_ms)
{
	struct json_t *event;
	struct error ignored;
	int got;

	if (qmp->broken)
		return false;
	got = receive(qmp, qmp->heard ? 0 : timeout_ms, &event, &ignored);
	if (got == 1)
		json_free(event);
	qmp->broken = got < 0;
	got = got != 0 || qmp->heard;
	qmp->heard = false;
	return got;
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
	return qmp_execute(qmp, NULL, err, "qmp_capabilities", NULL);
}

static int open_line(struct line **out, const char *place, struct error *err)
{
	static const char tcp[] = "tcp:";
	int fd;

	if (strncmp(place, tcp, sizeof(tcp) - 1) != 0)
		return line_open(out, "QMP", place, err);
	if (tcp_connect(&fd, place + sizeof(tcp) - 1, err) < 0) {
		if (err->sys != 0)
			return fail_system(err, err->sys, "QMP %.200s", place);
		error_prefix(err, "QMP");
		return err->code;
	}
	return line_adopt(out, "QMP", place, fd, err);
}

int qmp_open(struct qmp **out, const char *place, struct error *err)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));
	int code = qmp == NULL ? fail_memory(err) : open_line(&qmp->line, place, err);

	if (code == 0)
		code = greet(qmp, err);
	if (code < 0) {
		qmp_close(qmp);
		return code;
	}
	*out = qmp;
	return 0;
}

int qmp_again(struct qmp **qmp, const char *place, bool *gone, struct error *err)
{
	struct qmp *new;

	*gone = false;
	if (qmp_works(*qmp))
		return 0;
	/* A monitor has one client at a time, and this one may have broken off by itself. */
	shutdown(line_fd((*qmp)->line), SHUT_RDWR);
	if (qmp_open(&new, place, err) < 0) {
		*gone = err->sys == ECONNREFUSED || err->sys == ENOENT;
		return err->code;
	}
	qmp_close(*qmp);
	*qmp = new;
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
