/* The guard process: what it does for a backup that keeps to the protocol, and for one that does
 * not, dies, or is late. */
#include "base/clock.h"
#include "base/socket.h"
#include "machine/freeze.h"
#include "machine/held.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONG_MS 20000

/* ---- freezers that write down what is asked of them ---- */

static char asked[10000]; /* the guard's thread writes it, and has ended when it is read */
static bool second_fails;
static bool takes_connection;

static int note(const char *what, unsigned number)
{
	size_t n = strlen(asked);

	snprintf(asked + n, sizeof(asked) - n, "%s%u ", what, number);
	return 0;
}

static int first_freeze(struct freezer *freezer, struct freezing *attempt, struct error *err)
{
	(void)freezer;
	(void)err;
	attempt->n_frozen += 2;
	if (takes_connection && attempt->connection >= 0) {
		CU_ASSERT_EQUAL(write(attempt->connection, "x", 1), 1);
		close(attempt->connection);
		attempt->connection = -1;
	}
	return note("freeze", 1);
}

static int first_thaw(struct freezer *freezer, struct error *err)
{
	(void)freezer;
	note("thaw", 1);
	return fail(err, ERR_SYSTEM, "no thaw");
}

static int second_freeze(struct freezer *freezer, struct freezing *attempt, struct error *err)
{
	(void)freezer;
	(void)attempt;
	note("freeze", 2);
	return second_fails ? fail(err, ERR_SYSTEM, "no freeze") : 0;
}

static int second_thaw(struct freezer *freezer, struct error *err)
{
	(void)freezer;
	(void)err;
	return note("thaw", 2);
}

static const struct freezer_kind first = {1, first_freeze, first_thaw};
static const struct freezer_kind second = {1, second_freeze, second_thaw};

/* ---- a guard as a thread ---- */

struct line {
	pthread_t thread;
	int ours, theirs;
	struct freezer freezers[2];
	unsigned n;
	struct held held;
	char last;
};

static void *serve(void *context)
{
	struct line *line = context;

	line->last = guard_serve(line->theirs, line->freezers, line->n, &line->held);
	return NULL;
}

static void start(struct line *line, unsigned n, const struct machine_options *options)
{
	int fds[2];

	asked[0] = '\0';
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	*line = (struct line){
		.ours = fds[0],
		.theirs = fds[1],
		.freezers = {{&first, options, NULL}, {&second, options, NULL}},
		.n = n,
	};
	CU_ASSERT_FATAL(pthread_create(&line->thread, NULL, serve, line) == 0);
}

static void say(const struct line *line, char word)
{
	CU_ASSERT_EQUAL(socket_send(line->ours, &word, 1, -1), 0);
}

static struct guard_answer hear(const struct line *line, enum guard_word word)
{
	struct guard_answer answer;

	CU_ASSERT_EQUAL_FATAL(socket_receive(line->ours, &answer, sizeof(answer), NULL),
			      (ssize_t)sizeof(answer));
	CU_ASSERT_EQUAL(answer.word, word);
	return answer;
}

/* The backup goes. What was asked of the freezers. */
static const char *end(struct line *line)
{
	close(line->ours);
	pthread_join(line->thread, NULL);
	close(line->theirs);
	return asked;
}

static const struct machine_options no_limit = {.place = ""}, an_hour = {.freeze_timeout = 3600};

static void an_instant_in_time(void)
{
	struct guard_answer answer;
	struct line line;

	start(&line, 1, &an_hour);
	say(&line, GUARD_FREEZE);
	answer = hear(&line, GUARD_FREEZE);
	CU_ASSERT_EQUAL(answer.err.code, 0);
	CU_ASSERT_EQUAL(answer.n_frozen, 2);
	CU_ASSERT_STRING_EQUAL(asked, "freeze1 ");
	say(&line, GUARD_THAW);
	answer = hear(&line, GUARD_THAW);
	CU_ASSERT(answer.in_time);
	CU_ASSERT_STRING_EQUAL(answer.err.text, "no thaw");
	CU_ASSERT_STRING_EQUAL(end(&line), "freeze1 thaw1 ");
	CU_ASSERT_EQUAL(line.last, 0);
}

/* What the backup says of its jobs meanwhile ends neither the freeze nor its limit. */
static void words_while_frozen(void)
{
	struct line line;

	start(&line, 1, &an_hour);
	say(&line, GUARD_FREEZE);
	hear(&line, GUARD_FREEZE);
	say(&line, GUARD_BEGINS);
	say(&line, GUARD_BEGAN);
	say(&line, GUARD_THAW);
	CU_ASSERT(hear(&line, GUARD_THAW).in_time);
	CU_ASSERT_STRING_EQUAL(end(&line), "freeze1 thaw1 ");
	CU_ASSERT_EQUAL(line.last, GUARD_BEGAN);
}

static void an_instant_too_late(void)
{
	struct guard_answer answer;
	struct line line;
	int64_t begun = clock_ms();

	start(&line, 1, &no_limit);
	say(&line, GUARD_FREEZE);
	hear(&line, GUARD_FREEZE);
	say(&line, GUARD_BEGINS);
	answer = hear(&line, GUARD_THAW);
	CU_ASSERT(!answer.in_time);
	CU_ASSERT(clock_ms() - begun >= 1000);
	CU_ASSERT_STRING_EQUAL(asked, "freeze1 thaw1 ");
	say(&line, GUARD_THAW);
	say(&line, GUARD_DONE);
	CU_ASSERT_STRING_EQUAL(end(&line), "freeze1 thaw1 ");
	CU_ASSERT_EQUAL(line.last, GUARD_DONE);
}

static void a_backup_that_dies(void)
{
	struct line line;

	start(&line, 1, &an_hour);
	say(&line, GUARD_FREEZE);
	hear(&line, GUARD_FREEZE);
	say(&line, GUARD_BEGINS);
	CU_ASSERT_STRING_EQUAL(end(&line), "freeze1 thaw1 ");
	CU_ASSERT_EQUAL(line.last, GUARD_BEGINS);
	/* Without having read how freezing went. */
	start(&line, 1, &an_hour);
	say(&line, GUARD_BEGAN);
	say(&line, GUARD_FREEZE);
	CU_ASSERT_STRING_EQUAL(end(&line), "freeze1 thaw1 ");
	CU_ASSERT_EQUAL(line.last, GUARD_BEGAN);
}

/* An answer that the backup did not read does not hide its last word. The kernel tells of that
 * before the word if the guard is late: mostly. */
static void the_last_word(void)
{
	for (int round = 0; round < 200; round++) {
		struct pollfd thawed = {.events = POLLIN};
		struct line line;

		start(&line, 1, &an_hour);
		say(&line, GUARD_FREEZE);
		hear(&line, GUARD_FREEZE);
		say(&line, GUARD_THAW);
		thawed.fd = line.ours;
		CU_ASSERT_EQUAL(poll(&thawed, 1, LONG_MS), 1);
		say(&line, GUARD_DONE);
		CU_ASSERT_STRING_EQUAL(end(&line), "freeze1 thaw1 ");
		CU_ASSERT_EQUAL(line.last, GUARD_DONE);
	}
}

static void a_backup_that_hangs_up(void)
{
	struct line line;

	start(&line, 1, &an_hour);
	say(&line, GUARD_FREEZE);
	hear(&line, GUARD_FREEZE);
	shutdown(line.ours, SHUT_WR);
	CU_ASSERT(!hear(&line, GUARD_THAW).in_time);
	CU_ASSERT_STRING_EQUAL(end(&line), "freeze1 thaw1 ");
}

static void two_freezers(void)
{
	struct guard_answer answer;
	struct line line;

	start(&line, 2, &an_hour);
	say(&line, GUARD_FREEZE);
	CU_ASSERT_EQUAL(hear(&line, GUARD_FREEZE).err.code, 0);
	say(&line, GUARD_THAW);
	hear(&line, GUARD_THAW);
	CU_ASSERT_STRING_EQUAL(end(&line), "freeze1 freeze2 thaw2 thaw1 ");

	second_fails = true;
	start(&line, 2, &an_hour);
	say(&line, GUARD_FREEZE);
	answer = hear(&line, GUARD_FREEZE);
	CU_ASSERT_STRING_EQUAL(answer.err.text, "no freeze");
	CU_ASSERT(!hear(&line, GUARD_THAW).in_time);
	CU_ASSERT_STRING_EQUAL(end(&line), "freeze1 freeze2 thaw2 thaw1 ");
	second_fails = false;
}

/* One that no freezer takes is closed: the other side need not wait for the guard's end. */
static void a_connection(void)
{
	const char word = GUARD_FREEZE;
	struct line line;
	char byte;

	for (int i = 0; i < 2; i++) {
		int pipe[2];

		takes_connection = i == 1;
		start(&line, 1, &an_hour);
		CU_ASSERT_FATAL(pipe2(pipe, O_CLOEXEC) == 0);
		CU_ASSERT_EQUAL(socket_send(line.ours, &word, 1, pipe[1]), 0);
		close(pipe[1]);
		hear(&line, GUARD_FREEZE);
		CU_ASSERT_EQUAL(read(pipe[0], &byte, 1), i);
		close(pipe[0]);
		end(&line);
	}
}

/* Words in any order: what was frozen last is thawed when the guard ends. */
static void any_words(void)
{
	static const char words[] = {GUARD_FREEZE, GUARD_FREEZE, GUARD_THAW, GUARD_BEGINS,
				     GUARD_BEGAN,  GUARD_DONE,	 'x',	     -1};
	struct line line;

	srand(1);
	for (int round = 0; round < 200; round++) {
		unsigned n_freezes = 0;
		const char *at;

		start(&line, 1, &an_hour);
		for (int n = rand() % 12; n > 0; n--)
			say(&line, words[rand() % (int)sizeof(words)]);
		for (at = end(&line); *at != '\0'; n_freezes++) {
			CU_ASSERT_EQUAL_FATAL(strncmp(at, "freeze1 thaw1 ", 14), 0);
			at += 14;
		}
		CU_ASSERT(n_freezes <= 12);
	}
}

/* ---- commands ---- */

/* Both ends of the socket are here; theirs can be read once ours is closed. */
static int run_command(const char *command, const char *thaw, int backup, uint64_t limit_s,
		       struct error *err)
{
	const struct machine_options options = {.freeze_command = command, .thaw_command = thaw};
	struct freezer freezer = {&freezer_commands, &options, NULL};
	struct freezing attempt = {
		.limit_s = limit_s,
		.until_ms = clock_ms() + (int64_t)limit_s * 1000,
		.backup = backup,
		.connection = -1,
	};

	*err = (struct error){0};
	return command != NULL ? freezer_commands.freeze(&freezer, &attempt, err)
			       : freezer_commands.thaw(&freezer, err);
}

static void commands(void)
{
	struct error err;
	int64_t begun;
	int fds[2];

	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	CU_ASSERT_EQUAL(run_command("exit 0", NULL, fds[0], 60, &err), 0);
	CU_ASSERT_EQUAL(run_command("exit 3", NULL, fds[0], 60, &err), ERR_SYSTEM);
	CU_ASSERT_STRING_EQUAL(err.text, "--freeze-command: ended with code 3");
	CU_ASSERT_EQUAL(run_command(NULL, "sleep 0.1; exit 4", -1, 0, &err), ERR_SYSTEM);
	CU_ASSERT_STRING_EQUAL(err.text, "--thaw-command: ended with code 4");

	begun = clock_ms();
	CU_ASSERT_EQUAL(run_command("sleep 60 & wait", NULL, fds[0], 1, &err), ERR_SYSTEM);
	CU_ASSERT_STRING_EQUAL(err.text, "--freeze-command: did not finish within 1 s");
	close(fds[1]);
	CU_ASSERT_EQUAL(run_command("sleep 60 & wait", NULL, fds[0], 60, &err), ERR_SYSTEM);
	CU_ASSERT(clock_ms() - begun < LONG_MS);
	close(fds[0]);
}

static void a_group_is_killed(void)
{
	struct error err;
	int64_t begun = clock_ms();
	int ends[2], fds[2];
	char byte;

	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	CU_ASSERT_FATAL(pipe(ends) == 0); /* inherited */
	close(fds[1]);
	CU_ASSERT_EQUAL(run_command("sleep 60 & wait", NULL, fds[0], 60, &err), ERR_SYSTEM);
	close(ends[1]);
	CU_ASSERT_EQUAL(read(ends[0], &byte, 1), 0);
	CU_ASSERT(clock_ms() - begun < LONG_MS);
	close(ends[0]);
	close(fds[0]);
}

void test_guard(void)
{
	CU_pSuite suite = CU_add_suite("guard", NULL, NULL);

	CU_ADD_TEST(suite, an_instant_in_time);
	CU_ADD_TEST(suite, words_while_frozen);
	CU_ADD_TEST(suite, an_instant_too_late);
	CU_ADD_TEST(suite, a_backup_that_dies);
	CU_ADD_TEST(suite, the_last_word);
	CU_ADD_TEST(suite, a_backup_that_hangs_up);
	CU_ADD_TEST(suite, two_freezers);
	CU_ADD_TEST(suite, a_connection);
	CU_ADD_TEST(suite, any_words);
	suite = CU_add_suite("guard commands", NULL, NULL);
	CU_ADD_TEST(suite, commands);
	CU_ADD_TEST(suite, a_group_is_killed);
}
