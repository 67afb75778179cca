#include "machine/guard.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/patience.h"
#include "base/socket.h"
#include "base/stop.h"
#include "machine/held.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_MS 100 /* between looks whether the backup is stopped */

struct guard {
	struct child child;
	int fd;
};

/* Whether something can be read, or the other side has gone, within the time. */
static bool comes(int fd, int64_t until_ms)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	int ready;

	do {
		int64_t left = until_ms - clock_ms();

		ready = poll(&one, 1, left > 0 ? (int)left : 0);
	} while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* One message. An other side that went without reading what we sent last is told before what it
 * sent. */
static ssize_t receive(int fd, void *to, size_t size, int *passed)
{
	ssize_t got;

	do
		got = socket_receive(fd, to, size, passed);
	while (got < 0 && errno == ECONNRESET);
	return got;
}

/* ---- in the backup ---- */

/* Of the guard's command line. The texts are borrowed. */
struct arguments {
	const char *items[24];
	unsigned n;
};

static void add(struct arguments *arguments, const char *name, const char *value)
{
	if (value == NULL)
		return;
	arguments->items[arguments->n++] = name;
	arguments->items[arguments->n++] = value;
}

static void add_options(struct arguments *arguments, const struct machine_options *options)
{
	add(arguments, "--freeze-command", options->freeze_command);
	add(arguments, "--thaw-command", options->thaw_command);
	add(arguments, "--guest-agent", options->guest_agent);
	add(arguments, "--scratch", options->scratch);
	add(arguments, "--connect", options->connect);
	add(arguments, "--checkpoint", options->checkpoint);
	if (options->quiesce != 0)
		arguments->items[arguments->n++] = "--quiesce";
	if (options->pull)
		arguments->items[arguments->n++] = "--pull";
}

/* What commands of the user print goes to our stderr. */
static int start(struct guard *guard, const struct arguments *arguments, bool commands,
		 struct error *err)
{
	int fds[2], code;
	const struct child_options how = {
		.argv = arguments->items,
		.program = "/proc/self/exe",
		.err = commands ? CHILD_KEEP : CHILD_NULL,
		.passed = &fds[1],
		.n_passed = 1,
		.session = true,
		.secrets = true,
	};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return fail_system(err, errno, "a socket of the guard process");
	guard->fd = fds[0];
	code = child_start(&guard->child, &how, err);
	close(fds[1]);
	if (code != 0)
		close(fds[0]);
	return code;
}

int guard_start(struct guard **out, const char *source, const struct machine_options *options,
		const char *id, struct error *err)
{
	struct arguments arguments = {.items = {"vmabak", "guard"}, .n = 2};
	struct guard *guard = calloc(1, sizeof(*guard));
	char *word = text_make("%s:%s", source, options->place);
	char timeout[24];
	int code = guard == NULL || word == NULL ? fail_memory(err) : 0;

	snprintf(timeout, sizeof(timeout), "%llu", (unsigned long long)options->freeze_timeout);
	add(&arguments, "--freeze-timeout", options->freeze_timeout == 0 ? NULL : timeout);
	add_options(&arguments, options);
	add(&arguments, "--", word);
	arguments.items[arguments.n] = id;
	if (code == 0)
		code = start(guard, &arguments, options->freeze_command != NULL, err);
	free(word);
	if (code != 0) {
		free(guard);
		return code;
	}
	stop_keep_going(true);
	*out = guard;
	return 0;
}

void guard_tell(struct guard *guard, enum guard_word word, int connection)
{
	char byte = (char)word;

	socket_send(guard->fd, &byte, 1, connection);
}

int guard_hold(struct guard *guard, int fd, struct error *err)
{
	char byte = GUARD_HOLD;
	int sys = socket_send(guard->fd, &byte, 1, fd);

	return sys == 0 ? 0 : fail_system(err, sys, "the guard process");
}

int guard_hear(struct guard *guard, enum guard_word word, uint64_t timeout_s,
	       struct guard_answer *out, struct error *err)
{
	if (!comes(guard->fd, clock_ms() + (int64_t)timeout_s * 1000))
		return 0;
	if (receive(guard->fd, out, sizeof(*out), NULL) != sizeof(*out) || out->word != word)
		return fail(err, ERR_SYSTEM, "the guard process has died");
	return 1;
}

int guard_check_going(struct guard *guard, struct error *err)
{
	struct guard_answer answer;

	while (comes(guard->fd, 0) &&
	       receive(guard->fd, &answer, sizeof(answer), NULL) == sizeof(answer)) {
		if (answer.word == GUARD_STOPPED)
			return fail(err, ERR_SYSTEM,
				    "this program was stopped (SIGSTOP), and the machine might "
				    "have to wait for it: the backup was given up");
	}
	return 0;
}

bool guard_hang_up(struct guard *guard, unsigned timeout_s)
{
	bool done;

	shutdown(guard->fd, SHUT_WR);
	done = child_wait(&guard->child, (int64_t)timeout_s * 1000) && guard->child.status == 0;
	if (done)
		stop_keep_going(false);
	return done;
}

void guard_free(struct guard *guard)
{
	if (guard == NULL)
		return;
	close(guard->fd);
	child_release(&guard->child);
	stop_keep_going(false);
	free(guard);
}

void guard_end(struct guard *guard, bool done)
{
	if (guard == NULL)
		return;
	if (done) {
		guard_tell(guard, GUARD_DONE, -1);
		guard_hang_up(guard, PATIENCE_GUARD_S);
	}
	guard_free(guard);
}

/* ---- in the guard ---- */

uint64_t guard_limit_s(const struct machine_options *options, unsigned otherwise)
{
	return options->freeze_timeout != 0 ? options->freeze_timeout : otherwise;
}

struct service {
	int fd;
	struct freezer *freezers;
	unsigned n;
	struct held *held;
	char last; /* word about cleaning up */
	bool was_stopped;
};

static void answer(const struct service *service, const struct guard_answer *what)
{
	socket_send(service->fd, what, sizeof(*what), -1);
}

/* The next word; 0: the backup has gone. connection: what came with it, or -1. */
static char hear_word(const struct service *service, int *connection)
{
	char word;

	return receive(service->fd, &word, 1, connection) == 1 ? word : 0;
}

static void take_note(struct service *service, char word, int connection)
{
	if (word == GUARD_HOLD && connection >= 0) {
		held_add(service->held, connection);
		return;
	}
	if (connection >= 0)
		close(connection);
	if (word != GUARD_HOLD)
		service->last = word;
}

static bool is_stopped(pid_t pid)
{
	char path[40], text[200] = "";
	const char *state;
	int fd;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	io_read(fd, text, sizeof(text) - 1, &n);
	close(fd);
	state = strrchr(text, ')'); /* a name, which may hold anything, ends there */
	return state != NULL && strncmp(state, ") T", 3) == 0;
}

/* A guest's writes may wait for the backup, and to cancel a job of QEMU meanwhile would stop all of
 * QEMU. So the backup goes on, and gives up by itself. */
static void rouse(struct service *service)
{
	const struct guard_answer stopped = {.word = GUARD_STOPPED};
	socklen_t size = sizeof(struct ucred);
	struct ucred backup;

	if (getsockopt(service->fd, SOL_SOCKET, SO_PEERCRED, &backup, &size) != 0 ||
	    !is_stopped(backup.pid))
		return;
	if (!service->was_stopped)
		answer(service, &stopped);
	service->was_stopped = true;
	kill(backup.pid, SIGCONT);
}

static char await_word(struct service *service, int *connection)
{
	while (!comes(service->fd, clock_ms() + LOOK_MS)) {
		if (service->last == GUARD_BEGINS || service->last == GUARD_BEGAN)
			rouse(service);
	}
	return hear_word(service, connection);
}

/* Freezes by one freezer after the other, until one fails. How many of them have to thaw. */
static unsigned freeze(const struct service *service, int connection, int64_t *thaw_ms,
		       struct guard_answer *out)
{
	struct freezing attempt = {.backup = service->fd, .connection = connection};
	unsigned n = 0;
	int code = 0;

	*thaw_ms = INT64_MAX;
	while (n < service->n && code == 0) {
		struct freezer *freezer = &service->freezers[n++];
		int64_t limit_ms;

		attempt.limit_s = guard_limit_s(freezer->options, freezer->kind->limit_s);
		limit_ms = (int64_t)attempt.limit_s * 1000;
		attempt.until_ms = clock_ms() + limit_ms;
		code = freezer->kind->freeze(freezer, &attempt, &out->err);
		if (*thaw_ms > clock_ms() + limit_ms)
			*thaw_ms = clock_ms() + limit_ms;
	}
	if (attempt.connection >= 0)
		close(attempt.connection);
	out->n_frozen = attempt.n_frozen;
	return n;
}

/* Whether the backup says in time that the instant is over. The time also counts when the word has
 * come: both processes may have been frozen, with their control group. */
static bool await_thaw(struct service *service, int64_t until_ms)
{
	while (comes(service->fd, until_ms)) {
		int connection = -1;
		char word = hear_word(service, &connection);

		if (word == 0 || word == GUARD_THAW)
			return word != 0 && clock_ms() <= until_ms;
		take_note(service, word, connection);
	}
	return false;
}

static void thaw(const struct service *service, unsigned n, struct error *err)
{
	while (n-- > 0) {
		struct freezer *freezer = &service->freezers[n];
		struct error failure = {0};

		if (freezer->kind->thaw(freezer, &failure) != 0 && err->code == 0)
			*err = failure;
	}
}

static void freeze_and_thaw(struct service *service, int connection)
{
	struct guard_answer frozen = {.word = GUARD_FREEZE}, thawed = {.word = GUARD_THAW};
	int64_t thaw_ms;
	unsigned n = freeze(service, connection, &thaw_ms, &frozen);

	answer(service, &frozen);
	if (frozen.err.code == 0)
		thawed.in_time = await_thaw(service, thaw_ms);
	thaw(service, n, &thawed.err);
	answer(service, &thawed);
}

char guard_serve(int fd, struct freezer *freezers, unsigned n, struct held *held)
{
	struct service service = {.fd = fd, .freezers = freezers, .n = n, .held = held};
	int connection;
	char word;

	while ((word = await_word(&service, &connection)) != 0) {
		if (word == GUARD_FREEZE)
			freeze_and_thaw(&service, connection);
		else if (word != GUARD_THAW)
			take_note(&service, word, connection);
		/* GUARD_THAW: the guard has thawed before it came. */
	}
	return service.last;
}
