#include "cli/mounting.h"

#include "base/child.h"
#include "cli/report.h"
#include "cli/say.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 20 /* between looks at what it says */
#define END_MS	10000

/* Within a while; also if the process has ended. */
static bool is_ready(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&one, 1, LOOK_MS) > 0 && read(fd, &byte, 1) == 0;
}

/* A process that ends closes its standard output long before it has ended; its standard error is
 * open as long as it serves. */
static bool has_ended(struct child *child)
{
	struct pollfd one = {.fd = child->err};

	return poll(&one, 1, LOOK_MS) > 0 && child_wait(child, END_MS);
}

static void pass_words(struct child *child, int wait_ms)
{
	char words[4096];

	child_words(child, wait_ms, words, sizeof(words));
	say_lines(stderr, (const uint8_t *)words, strlen(words));
}

/* As its message, which it has said on its own standard error. */
static int fail_like(const struct child *child, const char *words, struct error *err)
{
	int status = child->status, code = status == EXIT_USAGE	    ? ERR_USAGE
					   : status == EXIT_DAMAGED ? ERR_DAMAGED
					   : status == EXIT_FULL    ? ERR_FULL
					   : status == EXIT_LOCKED  ? ERR_LOCKED
								    : ERR_SYSTEM;

	words += strncmp(words, "vmabak: ", 8) == 0 ? 8u : 0;
	return fail(err, code, "%.*s", (int)strcspn(words, "\n"), words);
}

int mounting_await(struct child *child, struct report *report)
{
	char words[4096];
	struct error err = {0};

	while (!is_ready(child->out))
		if (!report->json)
			pass_words(child, 0);
	if (!has_ended(child)) {
		pass_words(child, 0);
		return EXIT_DONE;
	}
	if (!report->json) {
		pass_words(child, LOOK_MS);
		return child->status > 0 ? child->status : EXIT_FAILED;
	}
	child_words(child, LOOK_MS, words, sizeof(words));
	fail_like(child, words, &err);
	return report_error(report, NULL, &err);
}
