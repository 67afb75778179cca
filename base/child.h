/*
 * Child processes: the one place where the program starts others. No shell is involved, and a
 * program that cannot be run is an error of child_start, not an exit code.
 *
 *	struct child child;
 *	struct child_options how = {.argv = arguments, .err = CHILD_PIPE, .dies_with_us = true};
 *
 *	TRY(child_start(&child, &how, err));
 *	if (!child_wait(&child, LIMIT_MS))
 *		child_kill(&child);
 *	child_words(&child, 0, text, sizeof(text));
 *	child_close(&child);
 *
 * A child starts with no signal blocked and SIGPIPE as by default; signals that this process
 * ignores stay ignored.
 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include "base/error.h"

#include <sys/types.h>

enum child_stream {
	CHILD_NULL,   /* /dev/null */
	CHILD_KEEP,   /* the one of this process */
	CHILD_PIPE,   /* a pipe whose other end is in struct child */
	CHILD_AS_ERR, /* of out only: where err goes */
};

#define CHILD_PASSED_MAX 8u

/* Borrowed until child_start returns. All zero: a program of PATH with no streams. */
struct child_options {
	const char *const *argv; /* NULL at its end; argv[0] names it in messages */
	const char *program;	 /* path; NULL: argv[0], looked up in PATH */
	enum child_stream in, out;
	/* CHILD_PIPE: non-blocking at both ends. The pipe's size, 64 KiB, limits what is kept: if
	 * the child writes more, text is lost, and it never blocks. */
	enum child_stream err;
	const int *passed; /* become its descriptors 3, 4, ...; at most CHILD_PASSED_MAX */
	unsigned n_passed;
	/* The passed descriptors are listening sockets, announced as in sd_listen_fds(3). */
	bool activated;
	/* A process group of its own, which child_kill ends as a whole. */
	bool group;
	/* A session of its own: signals from our terminal or to our group do not reach it. It
	 * inherits only the descriptors named here, so it keeps no pipe of ours open. Implies
	 * group. */
	bool session;
	/* It gets the secrets of our environment, too: for commands of the user's, and what starts
	 * them. */
	bool secrets;
	/* Killed by the kernel when the thread that started it ends, and by child_kill_all. */
	bool dies_with_us;
};

/* Must not move between child_start and child_close or child_release. */
struct child {
	pid_t pid; /* 0: has ended, or was never started */
	/* Our ends of its pipes, or -1; closed by child_close. */
	int in, out, err;
	int status; /* once it has ended: its exit code, or 128 + the signal; -1: unknown */
	bool group;
	struct child *next;
};

/* An initial value that child_close accepts. */
#define CHILD_NONE ((struct child){.in = -1, .out = -1, .err = -1})

/* ERR_SYSTEM: it could not be started; err->sys is ENOENT if the program does not exist. *child may
 * be closed then, too. */
int child_start(struct child *child, const struct child_options *options, struct error *err);

/* Whether it ends within the time; child->status says how. */
bool child_wait(struct child *child, int64_t limit_ms);

/* The CPU time it has used; growing while it is at work. 0: unknown. */
int64_t child_cpu_ns(const struct child *child);

/* What it has written to stderr since the last call, waiting up to wait_ms for each further part
 * until it closes stderr. */
void child_words(const struct child *child, int wait_ms, char *out, size_t room);

/* SIGKILL, to its whole group if it has one of its own. Does not wait. */
void child_kill(struct child *child);

/* Kills it if it still runs, waits for that, and closes our ends of its pipes. A child that hangs
 * in the kernel is left to it after some seconds. */
void child_close(struct child *child);

/* Closes our ends of its pipes and leaves it running. */
void child_release(struct child *child);

/* Kills all children that die with us; for a signal that ends the program. */
void child_kill_all(void);

#endif
