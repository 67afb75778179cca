/*
 * The guard is forked off before anything is frozen. It has one end of a socket pair; that the
 * other end is closed tells it that its parent has gone. It may only do what is allowed after a
 * fork in a program with threads: system calls.
 *
 *   guard                                   parent
 *   runs freeze, until it ends, the time
 *   is up or the parent has gone
 *   'f' and how freeze ended           ->   goes on, or gives up
 *   waits for a byte, the parent's end
 *   or the time                        <-   'i': the instant is over
 *   runs thaw
 *   't', how thaw ended, whether 'i'
 *   had come before                    ->
 */
#include "machine/hooks.h"

#include "cli/memory.h"
#include "base/patience.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THAW_WAIT_MS	 (PATIENCE_THAW_S * 1000)
#define FREEZE_DEFAULT_S 10u

/* How a command ended. */
enum ending { ENDED_WELL, ENDED_BADLY, ENDED_LATE, ENDED_PARENT_GONE };

struct told {
	char what; /* 'f' or 't' */
	unsigned char ending;
	unsigned char status; /* exit code, or 128 + signal */
	bool in_time;	      /* 't': the parent had said that the instant is over */
};

struct hooks {
	int fd;
	pid_t guard;
};

/* ---- the guard ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What ends the backup does not end the guard, which has to thaw: systemd sends SIGTERM to every
 * process of a service. The commands get these signals as they were. */
static const int ending_signals[] = {SIGHUP, SIGINT, SIGTERM};
#define N_ENDING (sizeof(ending_signals) / sizeof(ending_signals[0]))
static void (*found_handlers[N_ENDING])(int);

static void outlive_signals(void)
{
	for (unsigned i = 0; i < N_ENDING; i++)
		found_handlers[i] = signal(ending_signals[i], SIG_IGN);
}

/* In a group of its own, so that all of it can be ended. What it prints goes to standard error. */
static pid_t start_command(const char *command)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	setpgid(0, 0);
	for (unsigned i = 0; i < N_ENDING; i++)
		signal(ending_signals[i], found_handlers[i]);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* Whether something can be read from fd, or it has been closed, within the time. */
static bool comes(int fd, int64_t until_ms)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	int64_t left = until_ms - now_ms();

	return poll(&one, 1, left > 0 ? (int)left : 0) > 0;
}

/* watch: the parent's socket; -1: nothing but the time ends it. */
static enum ending run_command(const char *command, int watch, int64_t until_ms,
			       unsigned char *status)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	enum ending ending = ENDED_WELL;
	pid_t child = start_command(command);
	int how = 0;

	*status = 127;
	if (child < 0)
		return ENDED_BADLY;
	while (waitpid(child, &how, WNOHANG) == 0) {
		if (watch >= 0 && comes(watch, 0))
			ending = ENDED_PARENT_GONE;
		else if (now_ms() >= until_ms)
			ending = ENDED_LATE;
		if (ending != ENDED_WELL) {
			setpgid(child, child);
			kill(-child, SIGKILL);
			waitpid(child, &how, 0);
			return ending;
		}
		nanosleep(&moment, NULL);
	}
	*status = (unsigned char)(WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how));
	if (*status != 0)
		return ENDED_BADLY;
	return now_ms() <= until_ms ? ENDED_WELL : ENDED_LATE; /* it may have been stopped */
}

/* Nothing of the parent's is kept open: neither the socket of a server nor a pipe that the archive
 * goes to. ^C and the like are for the parent. */
static void leave_parent(int *fd)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	setsid();
	dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	dup2(*fd, 3);
	fcntl(3, F_SETFD, FD_CLOEXEC);
	*fd = 3;
	syscall(SYS_close_range, 4u, ~0u, 0u);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	outlive_signals();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void tell(int fd, const struct told *told)
{
	send(fd, told, sizeof(*told), MSG_NOSIGNAL);
}

static _Noreturn void guard(int fd, const char *freeze, const char *thaw, int64_t timeout_ms)
{
	struct told told = {.what = 'f'};
	int64_t until;
	char byte;

	leave_parent(&fd);
	told.ending = (unsigned char)run_command(freeze, fd, now_ms() + timeout_ms, &told.status);
	tell(fd, &told);
	/* The time also counts when the word has come: both may have been frozen, with their
	 * control group. */
	until = now_ms() + timeout_ms;
	if (told.ending == ENDED_WELL && comes(fd, until))
		told.in_time = recv(fd, &byte, 1, 0) == 1 && now_ms() <= until;
	told.what = 't';
	/* Thaw is never cut short: half a thaw is worse than a late one. */
	told.ending = (unsigned char)run_command(thaw, -1, INT64_MAX, &told.status);
	tell(fd, &told);
	_exit(0);
}

/* ---- the parent ---- */

/* False: nothing came within the time, or the guard is dead. */
static bool hear(const struct hooks *hooks, char what, int64_t timeout_ms, struct told *out)
{
	ssize_t n;

	*out = (struct told){0};
	if (!comes(hooks->fd, now_ms() + timeout_ms))
		return false;
	n = recv(hooks->fd, out, sizeof(*out), 0);
	/* It went without reading what it was sent last: that is told before what it said. */
	if (n < 0 && errno == ECONNRESET)
		n = recv(hooks->fd, out, sizeof(*out), 0);
	return n == sizeof(*out) && out->what == what;
}

static void release(struct hooks *hooks)
{
	close(hooks->fd);
	free(hooks);
}

static int fail_ending(const struct told *told, const char *which, uint64_t timeout_s,
		       struct error *err)
{
	if (told->ending == ENDED_LATE)
		return fail(err, ERR_SYSTEM, "--%s-command: was not done within %llu s", which,
			    (unsigned long long)timeout_s);
	return fail(err, ERR_SYSTEM, "--%s-command: ended with code %u", which, told->status);
}

static int start_guard(struct hooks *hooks, const char *freeze, const char *thaw,
		       uint64_t timeout_s, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_system(err, errno, "the guard of --thaw-command");
	hooks->guard = fork();
	if (hooks->guard == 0)
		guard(pair[1], freeze, thaw, (int64_t)timeout_s * 1000);
	close(pair[1]);
	hooks->fd = pair[0];
	return hooks->guard < 0 ? fail_start(err, errno, "the guard of --thaw-command") : 0;
}

int hooks_freeze(struct hooks **out, const char *freeze, const char *thaw, uint64_t timeout_s,
		 struct error *err)
{
	struct hooks *hooks;
	struct told told;
	bool failed;
	struct error ignored;

	*out = NULL;
	if (freeze == NULL && thaw == NULL)
		return 0;
	hooks = memory_new(1, sizeof(*hooks));
	if (start_guard(hooks, freeze == NULL ? ":" : freeze, thaw, timeout_s, err) < 0) {
		release(hooks);
		return err->code;
	}
	if (!hear(hooks, 'f', (int64_t)(timeout_s + 5) * 1000, &told)) {
		release(hooks);
		return fail(err, ERR_SYSTEM, "the guard of --thaw-command died");
	}
	if (told.ending == ENDED_WELL) {
		*out = hooks;
		return 0;
	}
	fail_ending(&told, "freeze", timeout_s, err);
	hooks_thaw(hooks, &failed, &ignored, &ignored);
	return err->code;
}

int hooks_thaw(struct hooks *hooks, bool *failed, struct error *warning, struct error *err)
{
	struct told told;
	bool heard;

	*failed = false;
	if (hooks == NULL)
		return 0;
	send(hooks->fd, "i", 1, MSG_NOSIGNAL);
	heard = hear(hooks, 't', THAW_WAIT_MS, &told);
	if (heard)
		waitpid(hooks->guard, NULL, 0);
	release(hooks);
	*failed = !heard || told.ending != ENDED_WELL;
	if (!heard)
		fail(warning, ERR_SYSTEM,
		     "--thaw-command: is not done after %d s, and goes on; the machine may be "
		     "frozen",
		     THAW_WAIT_MS / 1000);
	else if (*failed)
		fail(warning, ERR_SYSTEM,
		     "--thaw-command: ended with code %u; the machine may be frozen", told.status);
	if (heard && !told.in_time)
		return fail(err, ERR_SYSTEM,
			    "the instant did not come within --freeze-timeout: the machine was "
			    "thawed before");
	return 0;
}

int hooks_around(int (*begin)(void *context, struct error *err), void *context,
		 const struct machine_options *options, const struct watcher *watcher, struct error *err)
{
	uint64_t timeout_s =
		options->freeze_timeout != 0 ? options->freeze_timeout : FREEZE_DEFAULT_S;
	struct error thawing = {0}, warning = {0};
	struct hooks *hooks;
	bool failed;
	int result;

	if (hooks_freeze(&hooks, options->freeze_command, options->thaw_command, timeout_s, err) <
	    0)
		return err->code;
	result = begin(context, err);
	if (hooks_thaw(hooks, &failed, &warning, &thawing) < 0 && result == 0) {
		*err = thawing;
		result = err->code;
	}
	if (failed)
		watcher_warn(watcher, "%s", warning.text);
	return result;
}
