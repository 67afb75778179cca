#include "cli/guard.h"

#include "cli/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_FD 3

struct guard {
	pid_t pid;
	int pipe;
};

static void tell(const struct guard *guard, char what)
{
	ssize_t sent;

	do
		sent = write(guard->pipe, &what, 1);
	while (sent < 0 && errno == EINTR);
}

/* In a session of its own, so that what is sent to our group does not reach it. */
static int spawn(struct guard *guard, char *const arguments[], int read_end)
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
	posix_spawn_file_actions_adddup2(&files, read_end, PIPE_FD);
	result =
		posix_spawn(&guard->pid, "/proc/self/exe", &files, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return result;
}

int guard_start(struct guard **out, const struct options *options, const char *id,
		struct error *err)
{
	char *const arguments[] = {
		"vmabak",
		"qemu-guard",
		"--qmp",
		(char *)(uintptr_t)options->qmp,
		options->guest_agent == NULL ? "--" : "--guest-agent",
		(char *)(uintptr_t)(options->guest_agent == NULL ? id : options->guest_agent),
		(char *)(uintptr_t)(options->guest_agent == NULL ? NULL : id),
		NULL,
	};
	struct guard *guard = memory_new(1, sizeof(*guard));
	int fds[2], high, result;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		free(guard);
		return fail_system(err, errno, "a pipe");
	}
	/* Not where it goes in the child: there it would keep its close-on-exec flag. */
	high = fcntl(fds[0], F_DUPFD_CLOEXEC, PIPE_FD + 1);
	close(fds[0]);
	guard->pipe = fds[1];
	result = high < 0 ? errno : spawn(guard, arguments, high);
	if (high >= 0)
		close(high);
	if (result != 0) {
		close(guard->pipe);
		free(guard);
		return fail_system(err, result, "starting a process that cleans up");
	}
	*out = guard;
	return 0;
}

void guard_frozen(struct guard *guard, bool frozen)
{
	tell(guard, frozen ? 'F' : 'T');
}

void guard_end(struct guard *guard, bool done)
{
	if (guard == NULL)
		return;
	if (done)
		tell(guard, 'D');
	close(guard->pipe);
	while (done && waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(guard);
}
