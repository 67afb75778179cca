#include "cli/guard.h"

#include "cli/fleece.h"

#include "cli/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIPE_FD 3

struct guard {
	pid_t pid;
	int pipe;
};

void guard_tell(struct guard *guard, char word)
{
	ssize_t sent;

	do
		sent = write(guard->pipe, &word, 1);
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
	const char *arguments[10] = {"vmabak", "qemu-guard", "--qmp", options->qmp};
	unsigned n = 4;

	if (options->guest_agent != NULL) {
		arguments[n++] = "--guest-agent";
		arguments[n++] = options->guest_agent;
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
	guard_tell(guard, frozen ? 'F' : 'T');
}

void guard_end(struct guard *guard, bool done)
{
	if (guard == NULL)
		return;
	if (done)
		guard_tell(guard, 'D');
	close(guard->pipe);
	while (done && waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(guard);
}

bool guard_clean_up(struct guard *guard, unsigned timeout_s)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	int how = -1;

	close(guard->pipe);
	for (unsigned n = 0; n < timeout_s * 200; n++) {
		if (waitpid(guard->pid, &how, WNOHANG) != 0)
			break;
		nanosleep(&moment, NULL);
	}
	free(guard);
	return how == 0;
}

char guard_last_word(void)
{
	char word = 0, next;

	for (;;) {
		ssize_t got = read(PIPE_FD, &next, 1);

		if (got == 1)
			word = next;
		else if (got == 0 || errno != EINTR)
			return word;
	}
}
