#include "base/changer.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/stop.h"
#include "base/tape.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES_OF_COMMAND 3u
#define TRIES_OF_USER	 1000u
#define ORDER_MAX	 1500u
#define ANSWER_MAX	 16u
#define INTERRUPTED	 "130" /* 128 and SIGINT: a shell's exit code */
#define SIGNAL_MS	 20000

struct changer {
	struct child child;
	bool asks;
};

static const char *set_command;

/* Reads orders of five lines, and answers each with an exit code. No order comes while one is
 * carried out: what a watcher reads meanwhile is that this process is gone, and then the command is
 * ended with all of its group. Whoever waits for an answer of the user's cannot have given up the
 * terminal, nor the group it is for. */
static const char waiting_shell[] =
	"exec 3<&0\n"
	"while IFS= read -r VMABAK_TAPE && IFS= read -r VMABAK_VOLUME && "
	"IFS= read -r VMABAK_ARCHIVE && IFS= read -r VMABAK_USE && IFS= read -r VMABAK_WHY; do\n"
	"export VMABAK_TAPE VMABAK_VOLUME VMABAK_ARCHIVE VMABAK_USE VMABAK_WHY\n"
	"if [ -n \"$2\" ]; then\n"
	"(read -r gone <&3 || kill -KILL 0) &\n"
	"/bin/sh -c \"$1\" </dev/null >&2 3<&-; code=$?\n"
	"kill $!; wait $! 2>/dev/null\n"
	"else /bin/sh -c \"$1\" </dev/null >&2; code=$?; fi\n"
	"echo $code\n"
	"done\n";

static const char question[] =
	"(read -r gone <&3 || kill -KILL $$) &\n"
	"exec </dev/tty >/dev/tty || exit 1\n"
	"printf '\\n%s: %s\\nPut it in, and press Return (q: give up): ' \"$VMABAK_TAPE\" "
	"\"$VMABAK_WHY\"\n"
	"read -r answer && [ \"$answer\" != q ]; code=$?\n"
	"kill $!; exit $code\n";

void changer_set(const char *command)
{
	set_command = command;
	if (command == NULL && isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
		set_command = question;
}

bool changer_is_set(void)
{
	return set_command != NULL;
}

bool changer_may_change(const char *tape)
{
	return set_command != NULL && tape_is_name(tape);
}

int changer_start(struct changer **out, const char *tape, struct error *err)
{
	const char *const argv[] = {"sh", "-c",	       waiting_shell,
				    "sh", set_command, set_command != question ? "group" : "",
				    NULL};
	struct child_options how = {.argv = argv,
				    .program = "/bin/sh",
				    .in = CHILD_PIPE,
				    .out = CHILD_PIPE,
				    .err = CHILD_KEEP,
				    .group = set_command != question,
				    .secrets = true,
				    .dies_with_us = true};
	struct changer *changer;

	*out = NULL;
	if (set_command == NULL || strchr(tape, '\n') != NULL)
		return 0;
	changer = calloc(1, sizeof(*changer));
	if (changer == NULL)
		return fail_memory(err);
	changer->child = CHILD_NONE;
	changer->asks = set_command == question;
	if (child_start(&changer->child, &how, err) != 0) {
		free(changer);
		return err->code;
	}
	*out = changer;
	return 0;
}

/* One line, without its end. false: the shell is gone. */
static bool read_answer(const struct changer *changer, char answer[ANSWER_MAX])
{
	size_t n = 0, got;

	while (n + 1 < ANSWER_MAX && io_read(changer->child.out, answer + n, 1, &got) == 0 &&
	       got == 1 && answer[n] != '\n')
		n++;
	answer[n] = '\0';
	return n > 0;
}

/* ^C reaches the one who asks and this process alike. The signal decides how the run ends, and
 * whoever receives it may not have come to it yet. */
static void await_signal(void)
{
	int64_t until = clock_ms() + SIGNAL_MS;

	while (stop_signal() == 0 && clock_ms() < until)
		clock_sleep_ms(10);
}

int changer_next(struct changer *changer, const struct changer_order *order, struct error *err)
{
	char text[ORDER_MAX], answer[ANSWER_MAX];
	int n = snprintf(text, sizeof(text), "%s\n%" PRIu32 "\n%s\n%s\n%.900s\n", order->tape,
			 order->volume, order->archive, order->use, order->why);

	if (n < 0 || (size_t)n >= sizeof(text))
		return fail(err, ERR_SYSTEM, "the name of the tape drive is too long");
	int sys = io_write(changer->child.in, text, (size_t)n);
	bool gone = sys != 0 || !read_answer(changer, answer);
	if (changer->asks && (gone || strcmp(answer, INTERRUPTED) == 0))
		await_signal();
	if (gone)
		return fail(err, ERR_SYSTEM, "volume %" PRIu32 ": who changes tapes is gone",
			    order->volume);
	if (strcmp(answer, "0") == 0)
		return 0;
	if (changer->asks)
		return fail(err, ERR_SYSTEM, "volume %" PRIu32 ": given up", order->volume);
	return fail(err, ERR_SYSTEM,
		    "volume %" PRIu32 ": --next-volume: the command failed with exit code %s",
		    order->volume, answer);
}

unsigned changer_tries(const struct changer *changer)
{
	return changer->asks ? TRIES_OF_USER : TRIES_OF_COMMAND;
}

void changer_free(struct changer *changer)
{
	if (changer == NULL)
		return;
	child_close(&changer->child);
	free(changer);
}
