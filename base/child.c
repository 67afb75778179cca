/*
 * Between fork and exec in a program with threads only what a signal handler may call is allowed.
 * So everything is allocated and opened before the fork; what fails in the child comes back as
 * errno through a pipe that exec closes.
 *
 * A pid is used, and waited for, only under the lock: once a process has been waited for, its
 * number may belong to another one.
 */
#include "base/child.h"

#include "base/clock.h"
#include "base/io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PASSED 3u /* sd_listen_fds(3) demands it */
#define FILES_MAX    (FIRST_PASSED + CHILD_PASSED_MAX)
#define STEP_MS	     2u	   /* between two looks whether it has ended */
#define KILLED_MS    10000 /* a killed process that takes longer is held by a hung disk */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct child *dying_with_us; /* under the lock */

struct plan {
	const struct child_options *options;
	char **environment; /* owned, the texts are not */
	char listen_fds[32], listen_pid[32];
	int files[FILES_MAX]; /* what becomes its descriptor i; -1: it keeps ours */
	unsigned n_files;
	int null;
	int failure[2]; /* the pipe for errno */
	pid_t parent;
};

/* ---- in the child, between fork and exec ---- */

/* LISTEN_PID=n, by hand: snprintf is not safe here. */
static void put_pid(char *out, pid_t pid)
{
	static const char name[] = "LISTEN_PID=";
	char digits[24];
	size_t n = 0, at = sizeof(name) - 1;

	for (; pid > 0; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	memcpy(out, name, at);
	while (n > 0)
		out[at++] = digits[--n];
	out[at] = '\0';
}

/* A descriptor for which there is another one in its place is copied out of the way first. Copies
 * close on exec, and are as low as can be: the limit on descriptors may be tight. */
static int move_up(const struct plan *plan, int fd)
{
	return fd < 0 || fd >= (int)plan->n_files ? fd
						  : fcntl(fd, F_DUPFD_CLOEXEC, (int)plan->n_files);
}

static bool arrange_files(const struct plan *plan)
{
	int high[FILES_MAX];

	for (unsigned i = 0; i < plan->n_files; i++) {
		high[i] = move_up(plan, plan->files[i]);
		if (plan->files[i] >= 0 && high[i] < 0)
			return false;
	}
	for (unsigned i = 0; i < plan->n_files; i++) {
		if (high[i] >= 0 && dup2(high[i], (int)i) < 0)
			return false;
	}
	return true;
}

static bool leave_parent(const struct plan *plan)
{
	const struct child_options *options = plan->options;
	sigset_t none;

	if (options->dies_with_us) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != plan->parent)
			_exit(1);
	}
	if (options->session ? setsid() < 0 : options->group && setpgid(0, 0) < 0)
		return false;
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return true;
}

static _Noreturn void become(struct plan *plan)
{
	const struct child_options *options = plan->options;
	char *const *argv = (char *const *)(uintptr_t)options->argv;
	int failure = move_up(plan, plan->failure[1]);
	char **environment = plan->environment;

	if (failure < 0)
		failure = plan->failure[1];
	else if (leave_parent(plan) && arrange_files(plan)) {
		put_pid(plan->listen_pid, getpid());
		if (options->session)
			syscall(SYS_close_range, plan->n_files, ~0u, CLOSE_RANGE_CLOEXEC);
		execvpe(options->program != NULL ? options->program : argv[0], argv, environment);
	}
	int sys = errno;
	if (write(failure, &sys, sizeof(sys)) < 0)
		_exit(126);
	_exit(127);
}

/* ---- before the fork ---- */

/* Of object stores (store/account.h). */
static bool is_secret(const char *variable)
{
	return strncmp(variable, "AWS_SECRET_ACCESS_KEY=", 22) == 0 ||
	       strncmp(variable, "AWS_SESSION_TOKEN=", 18) == 0;
}

/* Ours, without what may be left of an activation of our own, and with a new one. */
static bool make_environment(struct plan *plan)
{
	const struct child_options *options = plan->options;
	size_t n = 0, kept = 0;

	while (environ[n] != NULL)
		n++;
	plan->environment = calloc(n + 3, sizeof(*plan->environment));
	if (plan->environment == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!(options->activated && strncmp(environ[i], "LISTEN_", 7) == 0) &&
		    (options->secrets || !is_secret(environ[i])))
			plan->environment[kept++] = environ[i];
	}
	if (!options->activated)
		return true;
	snprintf(plan->listen_fds, sizeof(plan->listen_fds), "LISTEN_FDS=%u", options->n_passed);
	plan->environment[kept++] = plan->listen_fds;
	plan->environment[kept++] = plan->listen_pid;
	return true;
}

static bool make_stream(struct plan *plan, unsigned number, enum child_stream how, int *ours)
{
	int pipe[2];

	int as_err = plan->files[STDERR_FILENO] < 0 ? STDERR_FILENO : plan->files[STDERR_FILENO];
	plan->files[number] = how == CHILD_NULL ? plan->null : how == CHILD_AS_ERR ? as_err : -1;
	if (how != CHILD_PIPE)
		return true;
	if (pipe2(pipe, O_CLOEXEC | (number == STDERR_FILENO ? O_NONBLOCK : 0)) != 0)
		return false;
	*ours = pipe[number == STDIN_FILENO];
	plan->files[number] = pipe[number != STDIN_FILENO];
	return true;
}

static bool make_plan(struct plan *plan, struct child *child)
{
	const struct child_options *options = plan->options;

	if (pipe2(plan->failure, O_CLOEXEC) != 0 || !make_environment(plan) ||
	    !make_stream(plan, STDERR_FILENO, options->err, &child->err) ||
	    !make_stream(plan, STDOUT_FILENO, options->out, &child->out) ||
	    !make_stream(plan, STDIN_FILENO, options->in, &child->in))
		return false;
	for (unsigned i = 0; i < options->n_passed; i++)
		plan->files[FIRST_PASSED + i] = options->passed[i];
	plan->n_files = FIRST_PASSED + options->n_passed;
	return true;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void drop_plan(struct plan *plan)
{
	const struct child_options *options = plan->options;
	const enum child_stream streams[] = {options->in, options->out, options->err};

	for (unsigned i = 0; i < FIRST_PASSED; i++) {
		if (streams[i] == CHILD_PIPE)
			close_one(&plan->files[i]);
	}
	close_one(&plan->null);
	close_one(&plan->failure[0]);
	close_one(&plan->failure[1]);
	free(plan->environment);
}

/* ---- starting ---- */

/* Under the lock, so that child_kill_all sees every child there is. */
static int fork_child(struct child *child, struct plan *plan)
{
	int sys = 0;

	pthread_mutex_lock(&lock);
	child->pid = fork();
	if (child->pid == 0)
		become(plan);
	if (child->pid < 0) {
		sys = errno;
		child->pid = 0;
	} else if (plan->options->dies_with_us) {
		child->next = dying_with_us;
		dying_with_us = child;
	}
	pthread_mutex_unlock(&lock);
	return sys;
}

/* Why it could not become the program; 0: it has. */
static int await_exec(struct plan *plan)
{
	int sys = 0;
	size_t got;

	close_one(&plan->failure[1]);
	return io_read(plan->failure[0], &sys, sizeof(sys), &got) == 0 && got == sizeof(sys) ? sys
											     : 0;
}

int child_start(struct child *child, const struct child_options *options, struct error *err)
{
	struct plan plan = {
		.options = options,
		.files = {-1, -1, -1},
		.null = open("/dev/null", O_RDWR | O_CLOEXEC),
		.failure = {-1, -1},
		.parent = getpid(),
	};
	int sys = 0;

	assert(options->n_passed <= CHILD_PASSED_MAX);
	*child = CHILD_NONE;
	child->group = options->group || options->session;
	if (plan.null < 0) /* err->sys would be read as that of the program */
		return fail(err, ERR_SYSTEM, "starting %s: /dev/null: %s", options->argv[0],
			    strerror(errno));
	if (!make_plan(&plan, child))
		sys = errno;
	if (sys == 0)
		sys = fork_child(child, &plan);
	if (sys == 0)
		sys = await_exec(&plan);
	drop_plan(&plan);
	if (sys == 0)
		return 0;
	child_close(child);
	return fail_start(err, sys, "starting %s", options->argv[0]);
}

/* ---- its end ---- */

static void delist_locked(const struct child *child)
{
	for (struct child **at = &dying_with_us; *at != NULL; at = &(*at)->next) {
		if (*at == child) {
			*at = child->next;
			return;
		}
	}
}

static bool has_ended(struct child *child)
{
	int how = 0;

	pthread_mutex_lock(&lock);
	pid_t got = child->pid > 0 ? waitpid(child->pid, &how, WNOHANG) : 0;
	if (got > 0)
		child->status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
	else if (got < 0 && errno != EINTR)
		child->status = -1;
	if (got > 0 || (got < 0 && errno != EINTR)) {
		delist_locked(child);
		child->pid = 0;
	}
	bool ended = child->pid == 0;
	pthread_mutex_unlock(&lock);
	return ended;
}

bool child_wait(struct child *child, int64_t limit_ms)
{
	int64_t until = clock_ms() + limit_ms;
	bool ended;

	while (!(ended = has_ended(child)) && clock_ms() < until)
		clock_sleep_ms(STEP_MS);
	return ended;
}

int64_t child_cpu_ns(const struct child *child)
{
	struct timespec spent = {0};
	clockid_t clock;

	if (child->pid > 0 && clock_getcpuclockid(child->pid, &clock) == 0)
		clock_gettime(clock, &spent);
	return (int64_t)spent.tv_sec * 1000000000 + spent.tv_nsec;
}

void child_words(const struct child *child, int wait_ms, char *out, size_t room)
{
	struct pollfd one = {.fd = child->err, .events = POLLIN};
	size_t n = 0;
	ssize_t got = 1;

	while (child->err >= 0 && got > 0 && n + 1 < room && poll(&one, 1, wait_ms) > 0) {
		got = read(child->err, out + n, room - 1 - n);
		if (got > 0)
			n += (size_t)got;
	}
	out[n] = '\0';
}

static void kill_locked(const struct child *child)
{
	if (child->pid > 0)
		kill(child->group ? -child->pid : child->pid, SIGKILL);
}

void child_kill(struct child *child)
{
	pthread_mutex_lock(&lock);
	kill_locked(child);
	pthread_mutex_unlock(&lock);
}

void child_kill_all(void)
{
	pthread_mutex_lock(&lock);
	for (struct child *child = dying_with_us; child != NULL; child = child->next)
		kill_locked(child);
	pthread_mutex_unlock(&lock);
}

void child_release(struct child *child)
{
	pthread_mutex_lock(&lock);
	delist_locked(child);
	child->pid = 0;
	pthread_mutex_unlock(&lock);
	close_one(&child->in);
	close_one(&child->out);
	close_one(&child->err);
}

void child_close(struct child *child)
{
	if (child->pid > 0) {
		child_kill(child);
		child_wait(child, KILLED_MS);
	}
	child_release(child);
}
