/*
 *   backup                                  guard
 *   'F', the agent's connection        ->   freezes
 *                                      <-   'f', how that went
 *   takes the instant
 *   'T'                                ->   (or the time is up, or the backup has gone:) thaws
 *                                      <-   't', how that went, whether 'T' had come in time
 *   'D': there is nothing to clean up  ->
 *   other words: for guard_last_word
 */
#include "machine/guard.h"

#include "machine/qemu/agent.h"
#include "base/clock.h"
#include "machine/qemu/fleece.h"
#include "cli/memory.h"
#include "base/patience.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_FD 3

struct guard {
	pid_t pid;
	int fd;
	bool silent; /* it has died or stands still */
};

struct said {
	char what;    /* 'f' or 't' */
	bool in_time; /* of 't': 'T' had come before */
	uint64_t n;   /* of 'f' */
	struct error err;
};

/* ---- in the backup ---- */

void guard_tell(struct guard *guard, char word)
{
	ssize_t sent;

	do
		sent = send(guard->fd, &word, 1, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
}

/* In a session of its own, so that what is sent to our group does not reach it. */
static int spawn(struct guard *guard, char *const arguments[], int its_end)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int result;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&files, its_end, SOCKET_FD);
	result =
		posix_spawn(&guard->pid, "/proc/self/exe", &files, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return result;
}

int guard_start(struct guard **out, const struct machine_options *options, const char *id,
		struct error *err)
{
	const char *arguments[12] = {"vmabak", "qemu-guard", "--qmp", options->place};
	char timeout[24];
	unsigned n = 4;

	snprintf(timeout, sizeof(timeout), "%llu", (unsigned long long)options->freeze_timeout);
	if (options->guest_agent != NULL) {
		arguments[n++] = "--guest-agent";
		arguments[n++] = options->guest_agent;
	}
	if (options->freeze_timeout != 0) {
		arguments[n++] = "--freeze-timeout";
		arguments[n++] = timeout;
	}
	if (options->pull) {
		arguments[n++] = "--scratch";
		arguments[n++] = options->scratch == NULL ? SCRATCH_FOLDER : options->scratch;
	}
	arguments[n] = id;
	return guard_spawn(out, (char *const *)(uintptr_t)arguments, err);
}

int guard_spawn(struct guard **out, char *const arguments[], struct error *err)
{
	struct guard *guard = memory_new(1, sizeof(*guard));
	int fds[2], high, result;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		free(guard);
		return fail_system(err, errno, "a socket");
	}
	/* Not where it goes in the child: there it would keep its close-on-exec flag. */
	high = fcntl(fds[0], F_DUPFD_CLOEXEC, SOCKET_FD + 1);
	close(fds[0]);
	guard->fd = fds[1];
	result = high < 0 ? errno : spawn(guard, arguments, high);
	if (high >= 0)
		close(high);
	if (result != 0) {
		close(guard->fd);
		free(guard);
		return fail_start(err, result, "starting a process that cleans up");
	}
	*out = guard;
	return 0;
}

void guard_end(struct guard *guard, bool done)
{
	if (guard == NULL)
		return;
	if (done)
		guard_tell(guard, 'D');
	guard_clean_up(guard, done ? PATIENCE_GUARD_S : 0);
}

bool guard_clean_up(struct guard *guard, unsigned timeout_s)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	int how = -1;

	close(guard->fd);
	for (unsigned n = 0; n < timeout_s * 200; n++) {
		if (waitpid(guard->pid, &how, WNOHANG) != 0)
			break;
		nanosleep(&moment, NULL);
	}
	free(guard);
	return how == 0;
}

/* ---- freezing, in the backup ---- */

static bool send_descriptor(int fd, char word, int pass)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} passing = {0};
	struct iovec part = {&word, 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = passing.bytes,
		.msg_controllen = sizeof(passing.bytes),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &pass, sizeof(int));
	return sendmsg(fd, &message, MSG_NOSIGNAL) == 1;
}

/* Whether something can be read, or the other side has gone, within the time. */
static bool comes(int fd, int64_t until_ms)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	int64_t left;
	int ready;

	do {
		left = until_ms - clock_ms();
		ready = poll(&one, 1, left > 0 ? (int)left : 0);
	} while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* False: nothing came within the time, or the guard is dead. */
static bool hear(const struct guard *guard, char what, unsigned timeout_s, struct said *out)
{
	*out = (struct said){0};
	return comes(guard->fd, clock_ms() + (int64_t)timeout_s * 1000) &&
	       recv(guard->fd, out, sizeof(*out), 0) == sizeof(*out) && out->what == what;
}

int guard_freeze(struct guard *guard, const struct agent *agent, uint64_t timeout_s, uint64_t *n,
		 struct error *err)
{
	struct said said;

	if (!send_descriptor(guard->fd, 'F', agent_fd(agent)))
		return fail_system(err, errno, "the process that freezes the guest");
	guard->silent = !hear(guard, 'f', (unsigned)timeout_s + PATIENCE_GUARD_S, &said);
	if (guard->silent)
		return fail(err, ERR_SYSTEM,
			    "the process that freezes the guest has died or does "
			    "not answer");
	*n = said.n;
	*err = said.err;
	return err->code;
}

/* Without a guard that answers the backup thaws by itself. */
int guard_thaw(struct guard *guard, struct agent *agent, struct error *warning, struct error *err)
{
	struct said said;

	guard_tell(guard, 'T');
	if (guard->silent || !hear(guard, 't', PATIENCE_THAW_S, &said)) {
		agent_thaw(agent, warning);
		return fail(err, ERR_SYSTEM,
			    "the process that thaws the guest has died or does "
			    "not answer");
	}
	*warning = said.err;
	if (!said.in_time)
		return fail(err, ERR_SYSTEM,
			    "the instant did not come within --freeze-timeout: the guest was "
			    "thawed before");
	return 0;
}

/* ---- in the guard ---- */

/* The next word; 0: the other side has gone. *passed: a descriptor that came with it, or -1. */
static char hear_word(int *passed)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} passing;
	char word = 0;
	struct iovec part = {&word, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *header;
	ssize_t got;

	*passed = -1;
	/* That it went without reading what we said last is told before what it said. */
	do {
		message.msg_control = passing.bytes;
		message.msg_controllen = sizeof(passing.bytes);
		got = recvmsg(SOCKET_FD, &message, MSG_CMSG_CLOEXEC);
	} while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header != NULL && header->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(header), sizeof(int));
	return got == 1 ? word : 0;
}

char guard_last_word(void (*freeze)(int fd))
{
	char last = 0, word;
	int passed;

	while ((word = hear_word(&passed)) != 0) {
		last = word;
		if (passed >= 0)
			freeze(passed);
	}
	return last;
}

static struct said said; /* of the one thread of a guard */

static void say(char what, const struct error *err)
{
	said.what = what;
	said.err = *err;
	send(SOCKET_FD, &said, sizeof(said), MSG_NOSIGNAL);
}

void guard_say_frozen(uint64_t n, const struct error *err)
{
	said = (struct said){.n = n};
	say('f', err);
}

/* The time also counts when the word has come: both may have been frozen, with their control
 * group. */
void guard_await_instant(uint64_t timeout_s)
{
	int64_t until = clock_ms() + (int64_t)timeout_s * 1000;
	int passed;

	if (comes(SOCKET_FD, until))
		said.in_time = hear_word(&passed) == 'T' && clock_ms() <= until;
}

void guard_say_thawed(const struct error *err)
{
	say('t', err);
}
