#include "cli/mounting.h"

#include "base/child.h"
#include "cli/report.h"
#include "cli/say.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 20 /* between looks at what it says */
#define END_MS	10000

enum said { SAID_NOTHING, SAID_READY, SAID_NO_MORE };

/* Within a while. A process that ends before it serves closes its standard output without a word.
 */
static enum said listen_to(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	char byte;
	ssize_t n;

	if (poll(&one, 1, LOOK_MS) <= 0)
		return SAID_NOTHING;
	n = read(fd, &byte, 1);
	return n > 0 ? SAID_READY : n == 0 ? SAID_NO_MORE : SAID_NOTHING;
}

static void pass_words(struct child *child, int wait_ms)
{
	char words[4096];

	child_words(child, wait_ms, words, sizeof(words));
	say_lines(stderr, (const uint8_t *)words, strlen(words));
}

/* As its message, the last line that it has said on its own standard error. */
static int fail_like(const struct child *child, char *words, struct error *err)
{
	int status = child->status, code = status == EXIT_USAGE	    ? ERR_USAGE
					   : status == EXIT_DAMAGED ? ERR_DAMAGED
					   : status == EXIT_FULL    ? ERR_FULL
					   : status == EXIT_LOCKED  ? ERR_LOCKED
								    : ERR_SYSTEM;
	size_t n = strlen(words);
	const char *line;

	while (n > 0 && words[n - 1] == '\n')
		words[--n] = '\0';
	line = strrchr(words, '\n');
	line = line == NULL ? words : line + 1;
	line += strncmp(line, "vmabak: ", 8) == 0 ? 8u : 0;
	return fail(err, code, "%s", *line != '\0' ? line : "ended without a word");
}

int mounting_await(struct child *child, struct report *report)
{
	char words[4096];
	struct error err = {0};
	enum said said;

	while ((said = listen_to(child->out)) == SAID_NOTHING)
		if (!report->json)
			pass_words(child, 0);
	if (said == SAID_READY) {
		pass_words(child, 0);
		return EXIT_DONE;
	}
	child_wait(child, END_MS);
	if (!report->json) {
		pass_words(child, LOOK_MS);
		return child->status > 0 ? child->status : EXIT_FAILED;
	}
	child_words(child, LOOK_MS, words, sizeof(words));
	fail_like(child, words, &err);
	return report_error(report, NULL, &err);
}
