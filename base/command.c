#include "base/command.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FOREVER_MS  (INT64_MAX / 2)
#define EXPLAIN_MS  2000  /* for a command whose input broke to end */
#define GIVE_UP_MS  10000 /* for a command to end after SIGTERM */
#define LET_GO_MS   15000 /* for its keeper to see to that */
#define STEP_MS	    20
#define OUTPUT_FD   (COMMAND_LIFE_FD + 1) /* of the keeper: where the command reads */
#define SHOWN_BYTES 100			  /* of the command, in messages */

struct command {
	const char *text;
	struct child child; /* the keeper, or, for reading, the command */
	int fd;		    /* our end; -1: closed */
	int life;	    /* to the keeper; -1: there is none */
	bool finished;
};

const char *command_of(const char *name)
{
	static const char prefix[] = "exec:";

	return strncmp(name, prefix, sizeof(prefix) - 1) == 0 ? name + sizeof(prefix) - 1 : NULL;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static struct command *new_command(const char *text, struct error *err)
{
	struct command *command = calloc(1, sizeof(*command));

	if (command == NULL) {
		fail_memory(err);
		return NULL;
	}
	*command = (struct command){.text = text, .child = CHILD_NONE, .fd = -1, .life = -1};
	return command;
}

/* The pipe's write end is both ours and the keeper's. */
static int start_keeper(struct command *command, const char *text, struct error *err)
{
	const char *const argv[] = {"vmabak", "keep", "--", text, NULL};
	int life[2] = {-1, -1}, input[2] = {-1, -1};
	int passed[3], code;

	if (pipe2(input, O_CLOEXEC) != 0 || pipe2(life, O_CLOEXEC) != 0) {
		code = fail_system(err, errno, "a pipe");
	} else {
		struct child_options how = {.argv = argv,
					    .program = "/proc/self/exe",
					    .out = CHILD_AS_ERR,
					    .err = CHILD_KEEP,
					    .passed = passed,
					    .n_passed = 3,
					    .session = true,
					    .secrets = true};

		passed[COMMAND_INPUT_FD - 3] = input[1];
		passed[COMMAND_LIFE_FD - 3] = life[0];
		passed[2] = input[0];
		code = child_start(&command->child, &how, err);
	}
	close_one(&input[0]);
	close_one(&life[0]);
	command->fd = input[1];
	command->life = life[1];
	return code;
}

static int start_writing(struct command **out, const char *text, const char *run, int *fd,
			 struct error *err)
{
	struct command *command = new_command(text, err);

	if (command == NULL)
		return err->code;
	if (start_keeper(command, run, err) != 0) {
		command_free(command);
		return err->code;
	}
	*fd = command->fd;
	*out = command;
	return 0;
}

int command_write(struct command **out, const char *text, int *fd, struct error *err)
{
	return start_writing(out, text, text, fd, err);
}

/* Not by setenv: other threads may read the environment. */
int command_write_from(struct command **out, const char *text, uint64_t offset, int *fd,
		       struct error *err)
{
	char *run = text_make("export VMABAK_OFFSET=%llu; %s", (unsigned long long)offset, text);
	int code = run != NULL ? start_writing(out, text, run, fd, err) : fail_memory(err);

	free(run);
	return code;
}

int command_read(struct command **out, const char *text, int *fd, struct error *err)
{
	const char *const argv[] = {"sh", "-c", text, NULL};
	const struct child_options how = {.argv = argv,
					  .program = "/bin/sh",
					  .out = CHILD_PIPE,
					  .err = CHILD_KEEP,
					  .session = true,
					  .dies_with_us = true,
					  .secrets = true};
	struct command *command = new_command(text, err);

	if (command == NULL)
		return err->code;
	if (child_start(&command->child, &how, err) != 0) {
		command_free(command);
		return err->code;
	}
	*fd = command->fd = command->child.out;
	*out = command;
	return 0;
}

/* The child has ended. Exit codes above those of signals are a command's own: ssh(1) has 255. */
static int judge(const struct command *command, struct error *err)
{
	int status = command->child.status;

	if (status == 0)
		return 0;
	if (status == COMMAND_UNREAD && command->life >= 0)
		return fail(err, ERR_SYSTEM,
			    "exec:%.*s: ended with exit code 0 before it had read all", SHOWN_BYTES,
			    command->text);
	if (status > 128 && status <= 128 + SIGRTMAX)
		return fail(err, ERR_SYSTEM, "exec:%.*s: ended by signal %d", SHOWN_BYTES,
			    command->text, status - 128);
	return fail(err, ERR_SYSTEM, "exec:%.*s: failed with exit code %d", SHOWN_BYTES,
		    command->text, status);
}

int command_finish(struct command *command, struct error *err)
{
	if (command->life >= 0) {
		close_one(&command->fd);
		if (write(command->life, "d", 1) != 1 && errno != EPIPE)
			return fail_system(err, errno, "exec:%.*s: its keeper", SHOWN_BYTES,
					   command->text);
	}
	child_wait(&command->child, FOREVER_MS);
	command->finished = true;
	return judge(command, err);
}

int command_explain(struct command *command, struct error *err)
{
	if (!child_wait(&command->child, EXPLAIN_MS))
		return err->code;
	command->finished = true;
	if (judge(command, err) == 0)
		fail(err, ERR_SYSTEM, "exec:%.*s: ended with exit code 0 before it had read all",
		     SHOWN_BYTES, command->text);
	return err->code;
}

void command_free(struct command *command)
{
	if (command == NULL)
		return;
	if (command->life >= 0 && !command->finished) {
		close_one(&command->life);
		child_wait(&command->child, LET_GO_MS);
		close_one(&command->fd);
	} else if (command->life < 0 && !command->finished && command->child.pid != 0) {
		kill(-command->child.pid, SIGTERM);
	}
	close_one(&command->life);
	if (command->child.out < 0)
		close_one(&command->fd);
	child_close(&command->child);
	free(command);
}

/* ---- the keeper ---- */

/* SIGTERM to all of it, and SIGKILL to what does not heed that: the shell may end before those that
 * it has started. */
static void give_up(struct child *child)
{
	pid_t group = child->pid;
	int64_t until = clock_ms() + GIVE_UP_MS;

	kill(-group, SIGTERM);
	while (!(child_wait(child, 0) && kill(-group, 0) != 0) && clock_ms() < until)
		clock_sleep_ms(STEP_MS);
	kill(-group, SIGKILL);
}

/* Until the command has ended. */
static void attend(struct child *child)
{
	struct pollfd life = {.fd = COMMAND_LIFE_FD, .events = POLLIN};
	char byte;

	while (!child_wait(child, 0)) {
		if (poll(&life, 1, STEP_MS) <= 0)
			continue;
		if (read(COMMAND_LIFE_FD, &byte, 1) == 1) {
			close(COMMAND_INPUT_FD);
			continue;
		}
		give_up(child);
		return;
	}
}

/* What the command left in the pipe, at whose end the keeper has been all the time. */
static bool is_unread(void)
{
	int n_bytes = 0;

	return ioctl(OUTPUT_FD, FIONREAD, &n_bytes) != 0 || n_bytes != 0;
}

int command_keep(const char *text, struct error *err)
{
	const char *const argv[] = {"sh", "-c", text, NULL};
	const struct child_options how = {.argv = argv,
					  .program = "/bin/sh",
					  .in = CHILD_KEEP,
					  .out = CHILD_KEEP,
					  .err = CHILD_KEEP,
					  .group = true,
					  .secrets = true};
	struct child child = CHILD_NONE;
	int status;

	fcntl(COMMAND_INPUT_FD, F_SETFD, FD_CLOEXEC);
	fcntl(COMMAND_LIFE_FD, F_SETFD, FD_CLOEXEC);
	fcntl(OUTPUT_FD, F_SETFD, FD_CLOEXEC);
	if (dup2(OUTPUT_FD, STDIN_FILENO) < 0)
		return fail_system(err, errno, "standard input");
	TRY(child_start(&child, &how, err));
	attend(&child);
	child_wait(&child, FOREVER_MS);
	status = child.status;
	if (status == 0 && is_unread())
		status = COMMAND_UNREAD;
	child_close(&child);
	return status < 0 ? 1 : status;
}
