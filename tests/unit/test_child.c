/* Child processes and unix sockets. */
#include "base/child.h"
#include "base/clock.h"
#include "base/socket.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_MS 20000

static void begin(struct child *child, struct child_options *how, const char *script)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	struct error err;

	how->argv = argv;
	CU_ASSERT_EQUAL_FATAL(child_start(child, how, &err), 0);
}

/* What a script says on its stderr; its status is left in the child. */
static const char *words_of(struct child *child, struct child_options *how, const char *script)
{
	static char text[1000];

	how->err = CHILD_PIPE;
	begin(child, how, script);
	CU_ASSERT(child_wait(child, LONG_MS));
	child_words(child, 0, text, sizeof(text));
	child_close(child);
	return text;
}

static void how_it_ended(void)
{
	struct child_options how = {.out = CHILD_AS_ERR};
	struct child child;

	CU_ASSERT_STRING_EQUAL(words_of(&child, &how, "cat; echo 1; echo 2 >&2; exit 7"), "1\n2\n");
	CU_ASSERT_EQUAL(child.status, 7);
	words_of(&child, &how, "kill -9 $$");
	CU_ASSERT_EQUAL(child.status, 128 + SIGKILL);
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) < 0);
}

static void streams(void)
{
	struct child_options how = {.in = CHILD_PIPE, .out = CHILD_PIPE};
	struct child child;
	char text[10] = "";

	begin(&child, &how, "read word; echo got $word");
	CU_ASSERT_EQUAL(write(child.in, "it\n", 3), 3);
	CU_ASSERT_EQUAL(read(child.out, text, sizeof(text)), 7);
	CU_ASSERT_STRING_EQUAL(text, "got it\n");
	CU_ASSERT(child_wait(&child, LONG_MS));
	CU_ASSERT_EQUAL(child.status, 0);
	child_close(&child);
}

/* Output that joins this process's own stderr. */
static void output_to_our_stderr(void)
{
	struct child_options how = {.out = CHILD_AS_ERR, .err = CHILD_KEEP};
	struct child child;
	int ends[2], kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	char text[10] = "";

	CU_ASSERT_FATAL(kept >= 0 && pipe2(ends, O_CLOEXEC) == 0);
	dup2(ends[1], STDERR_FILENO);
	begin(&child, &how, "echo 1; echo 2 >&2");
	dup2(kept, STDERR_FILENO);
	CU_ASSERT(child_wait(&child, LONG_MS));
	close(ends[1]);
	CU_ASSERT_EQUAL(read(ends[0], text, sizeof(text)), 4);
	CU_ASSERT_STRING_EQUAL(text, "1\n2\n");
	close(ends[0]);
	close(kept);
}

/* A child that says too much neither waits nor fails. */
static void more_words_than_are_kept(void)
{
	struct child_options how = {0};
	struct child child;

	words_of(&child, &how, "head -c 1000000 /dev/zero >&2 2>/dev/null; exit 3");
	CU_ASSERT_EQUAL(child.status, 3);
}

static void no_such_program(void)
{
	const char *const argv[] = {"vmabak-no-such-program", NULL};
	struct child_options how = {.argv = argv, .err = CHILD_PIPE, .dies_with_us = true};
	struct child child;
	struct error err;

	CU_ASSERT_EQUAL(child_start(&child, &how, &err), ERR_SYSTEM);
	CU_ASSERT_EQUAL(err.sys, ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "starting vmabak-no-such-program: No such file"));
	CU_ASSERT(child.err < 0 && child.pid == 0);
	how.program = "/proc/self/exe/not";
	CU_ASSERT_EQUAL(child_start(&child, &how, &err), ERR_SYSTEM);
	CU_ASSERT_EQUAL(err.sys, ENOTDIR);
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) < 0);
}

/* Two files, each where the other must go. */
static void passed_descriptors(void)
{
	struct child_options how = {.n_passed = 2, .activated = true};
	struct child child;
	int first[2], second[2];

	CU_ASSERT(pipe2(first, O_CLOEXEC) == 0 && pipe2(second, O_CLOEXEC) == 0);
	int *low = first[0] < second[0] ? first : second;
	const int passed[] = {low == first ? second[1] : first[1], low[1]};
	how.passed = passed;
	setenv("LISTEN_FDS", "9", 1);
	const char *text = words_of(&child, &how,
				    "echo 3 >&3; echo 4 >&4; [ $LISTEN_PID = $$ ] && "
				    "env | grep LISTEN_FDS >&2");
	unsetenv("LISTEN_FDS");
	CU_ASSERT_STRING_EQUAL(text, "LISTEN_FDS=2\n");
	char got[2] = "";
	CU_ASSERT(read(low[0], got, 2) == 2 && got[0] == '4');
	CU_ASSERT(read(low == first ? second[0] : first[0], got, 2) == 2 && got[0] == '3');
	for (int i = 0; i < 2; i++) {
		close(first[i]);
		close(second[i]);
	}
}

/* Of what this program was started with, which does not close on exec, too. */
static void a_session_inherits_nothing(void)
{
	struct child_options how = {0};
	struct child child;
	int open_one = fcntl(STDIN_FILENO, F_DUPFD, 50); /* no number that the shell itself uses */
	char script[100];

	snprintf(script, sizeof(script), "ls /proc/$$/fd | grep -cx %d >&2; ps -o sid= -p $$ >&2",
		 open_one);
	CU_ASSERT_EQUAL(atoi(words_of(&child, &how, script)), 1);
	how.session = true;
	const char *text = words_of(&child, &how, script);
	CU_ASSERT_EQUAL(atoi(text), 0);
	CU_ASSERT_NOT_EQUAL(atoi(strchr(text, '\n')), getsid(0));
	close(open_one);
}

/* The first child is waited for no longer than asked; all of its group is killed. */
static void a_group_is_killed(void)
{
	struct child_options how = {.out = CHILD_PIPE, .group = true};
	struct child child;
	int64_t start = clock_ms();
	char byte;

	begin(&child, &how, "sleep 60 & echo; wait");
	CU_ASSERT_EQUAL(read(child.out, &byte, 1), 1);
	CU_ASSERT_FALSE(child_wait(&child, 50));
	CU_ASSERT(clock_ms() - start >= 50);
	child_kill(&child);
	CU_ASSERT_EQUAL(read(child.out, &byte, 1), 0); /* nobody has its other end any more */
	CU_ASSERT(child_wait(&child, LONG_MS));
	CU_ASSERT_EQUAL(child.status, 128 + SIGKILL);
	child_close(&child);
}

static void all_that_die_with_us(void)
{
	struct child_options how = {.dies_with_us = true}, other = {0};
	struct child first, second, third;

	begin(&first, &how, "exec sleep 60");
	begin(&second, &other, "exec sleep 60");
	begin(&third, &how, "exec sleep 60");
	child_kill_all();
	CU_ASSERT(child_wait(&first, LONG_MS) && child_wait(&third, LONG_MS));
	CU_ASSERT_FALSE(child_wait(&second, 20));
	child_close(&first);
	child_close(&second);
	child_close(&third);
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) < 0);
	child_kill_all();
}

/* With SIGTERM blocked here, as in the threads of the program, and SIGPIPE ignored. */
static void signals_are_as_by_default(void)
{
	struct child_options how = {0};
	struct child child;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	words_of(&child, &how, "kill -TERM $$; exit 1");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CU_ASSERT_EQUAL(child.status, 128 + SIGTERM);
	words_of(&child, &how, "kill -PIPE $$; exit 1");
	CU_ASSERT_EQUAL(child.status, 128 + SIGPIPE);
}

/* ---- sockets ---- */

/* A thread that finds no memory for its stack fails like one too many: both limits are named. */
static void limits_of_a_start(void)
{
	struct rlimit before, limit;
	struct error err;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_AS, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)1 << 46;
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_AS, &limit), 0);
	fail_start(&err, EAGAIN, "starting a thread");
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_AS, &before), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "(RLIMIT_AS, ulimit -v, is 70368744177664)"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "TasksMax"));
}

static void addresses(void)
{
	struct sockaddr_un address;
	struct error err;
	char path[200];

	memset(path, 'a', sizeof(path));
	path[sizeof(address.sun_path) - 1] = '\0';
	CU_ASSERT_EQUAL(socket_address(&address, path, &err), 0);
	CU_ASSERT_STRING_EQUAL(address.sun_path, path);
	path[sizeof(address.sun_path) - 1] = 'a';
	path[sizeof(address.sun_path)] = '\0';
	CU_ASSERT_EQUAL(socket_address(&address, path, &err), ERR_USAGE);
	CU_ASSERT_EQUAL(socket_address(&address, "", &err), ERR_USAGE);
}

static void listening(void)
{
	const char *path = scratch("listen.sock");
	struct socket_place place, other;
	struct error err;
	struct stat st;
	int fd, client;

	CU_ASSERT_EQUAL_FATAL(socket_listen(&fd, &place, path, SOCK_SEQPACKET, &err), 0);
	CU_ASSERT(lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
	CU_ASSERT_EQUAL(scratch_count(), 1);
	CU_ASSERT_EQUAL(socket_connect(&client, path, SOCK_SEQPACKET, &err), 0);
	close(client);
	CU_ASSERT_EQUAL(socket_listen(&client, &other, path, SOCK_SEQPACKET, &err), ERR_LOCKED);
	CU_ASSERT_EQUAL(socket_listen(&client, &other, path, SOCK_STREAM, &err), ERR_USAGE);
	close(fd);
	/* Its name is still there, and it is replaced: the first one then removes nothing. No error
	 * is left behind. */
	err = (struct error){0};
	CU_ASSERT_EQUAL_FATAL(socket_listen(&fd, &other, path, SOCK_STREAM, &err), 0);
	CU_ASSERT_EQUAL(err.code, 0);
	socket_remove(&place);
	CU_ASSERT(scratch_exists(path));
	socket_remove(&other);
	CU_ASSERT_FALSE(scratch_exists(path));
	close(fd);
	CU_ASSERT_EQUAL(socket_connect(&fd, path, SOCK_STREAM, &err), ERR_SYSTEM);
	CU_ASSERT_EQUAL(err.sys, ENOENT);
	scratch_write(path, "mine", 4);
	CU_ASSERT_EQUAL(socket_listen(&fd, &place, path, SOCK_STREAM, &err), ERR_USAGE);
}

static void messages_with_a_descriptor(void)
{
	int pair[2], pipes[2], passed;
	char text[10] = "";

	CU_ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0 && pipe(pipes) == 0);
	CU_ASSERT_EQUAL(socket_send(pair[0], "one", 3, -1), 0);
	CU_ASSERT_EQUAL(socket_send(pair[0], "two", 3, pipes[1]), 0);
	CU_ASSERT_EQUAL(socket_send(pair[0], "three", 5, pipes[1]), 0);
	close(pipes[1]);
	CU_ASSERT_EQUAL(socket_receive(pair[1], text, sizeof(text), &passed), 3);
	CU_ASSERT(passed == -1 && strcmp(text, "one") == 0);
	CU_ASSERT_EQUAL(socket_receive(pair[1], text, sizeof(text), &passed), 3);
	CU_ASSERT_FATAL(passed >= 0);
	CU_ASSERT_EQUAL(write(passed, "x", 1), 1);
	CU_ASSERT(read(pipes[0], text, 2) == 1 && text[0] == 'x');
	close(passed);
	CU_ASSERT_EQUAL(socket_receive(pair[1], text, sizeof(text), NULL), 5);
	CU_ASSERT_EQUAL(read(pipes[0], text, 2), 0); /* all writers have been closed */
	close(pair[1]);
	CU_ASSERT_EQUAL(socket_send(pair[0], "four", 4, -1), EPIPE);
	close(pair[0]);
	close(pipes[0]);
}

void test_child(void)
{
	CU_pSuite suite = CU_add_suite("child", NULL, NULL);

	CU_ADD_TEST(suite, how_it_ended);
	CU_ADD_TEST(suite, streams);
	CU_ADD_TEST(suite, output_to_our_stderr);
	CU_ADD_TEST(suite, more_words_than_are_kept);
	CU_ADD_TEST(suite, no_such_program);
	CU_ADD_TEST(suite, passed_descriptors);
	CU_ADD_TEST(suite, a_session_inherits_nothing);
	CU_ADD_TEST(suite, a_group_is_killed);
	CU_ADD_TEST(suite, all_that_die_with_us);
	CU_ADD_TEST(suite, signals_are_as_by_default);
	CU_ADD_TEST(suite, limits_of_a_start);
	suite = CU_add_suite("socket", scratch_make, scratch_remove);
	CU_ADD_TEST(suite, addresses);
	CU_ADD_TEST(suite, listening);
	CU_ADD_TEST(suite, messages_with_a_descriptor);
}
