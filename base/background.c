#include "base/background.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NICE_MAX 19
#define SESSION	 "/proc/self/autogroup"
#define TRIES	 10

/* On Linux all three calls are about the thread. */
void background_work(int steps)
{
	const struct sched_param none = {0};
	int nice = getpriority(PRIO_PROCESS, 0) + steps;

	if (sched_getscheduler(0) != SCHED_OTHER)
		return;
	sched_setscheduler(0, SCHED_BATCH, &none);
	setpriority(PRIO_PROCESS, 0, nice < NICE_MAX ? nice : NICE_MAX);
}

void background_pause(void)
{
	sched_yield();
}

/* ---- the session ---- */

/* Also called between fork and _exit, so only async-signal-safe functions are allowed. */
static bool read_session(int *nice)
{
	static const char before[] = " nice ";
	const char *found;
	char text[64];
	int fd = open(SESSION, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	found = strstr(text, before);
	if (found != NULL)
		*nice = atoi(found + strlen(before));
	return found != NULL;
}

/* Async-signal-safe, too. The kernel accepts one such change in 100 ms, from all unprivileged
 * processes together: it then says EAGAIN. */
static void write_session(const char *nice)
{
	const struct timespec moment = {.tv_nsec = 30000000};
	int fd = open(SESSION, O_WRONLY | O_CLOEXEC);

	for (int i = 0; fd >= 0 && i < TRIES; i++) {
		if (write(fd, nice, strlen(nice)) >= 0 || errno != EAGAIN)
			break;
		nanosleep(&moment, NULL);
	}
	if (fd >= 0)
		close(fd);
}

static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A process in our session but not in our group, so that signals to the group do not reach it. When
 * this program has ended, however it ended, it restores the session's old value, unless another
 * process has changed it meanwhile. It keeps nothing open but the reading end of the pipe, because
 * readers of our other descriptors may wait for them to be closed. */
static _Noreturn void watch(const int pipe[2], const char *before)
{
	char none;
	int now;

	setpgid(0, 0);
	dup2(pipe[0], 0);
	close(pipe[1]);
	syscall(SYS_close_range, 1u, ~0u, 0u);
	while (read(0, &none, 1) < 0 && errno == EINTR)
		;
	if (read_session(&now) && now == BACKGROUND_PACKS)
		write_session(before);
	_exit(0);
}

static struct {
	pid_t pid;
	int pipe;
} watcher;

static void end_watcher(void)
{
	close(watcher.pipe);
	while (waitpid(watcher.pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static bool start_watcher(int before)
{
	char text[16];
	int fds[2];

	snprintf(text, sizeof(text), "%d", before);
	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	watcher.pid = fork();
	if (watcher.pid == 0)
		watch(fds, text);
	close(fds[0]);
	watcher.pipe = fds[1];
	if (watcher.pid < 0)
		close(watcher.pipe);
	else
		atexit(end_watcher);
	return watcher.pid > 0;
}

static void lower_session(pid_t guest)
{
	char text[16];
	int before;

	snprintf(text, sizeof(text), "%d", BACKGROUND_PACKS);
	if (!has_terminal() && (guest <= 0 || getsid(guest) != getsid(0)) &&
	    read_session(&before) && before < BACKGROUND_PACKS && start_watcher(before))
		write_session(text);
}

void background_backup(pid_t guest)
{
	background_work(BACKGROUND_PACKS);
	lower_session(guest);
}
