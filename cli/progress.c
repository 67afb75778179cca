/*
 * One thread runs from progress_begin to progress_end. It wakes five times per second, and when a
 * line is asked for. Everything that it shares with others is in `shared`, under one lock, which it
 * does not hold while it prints.
 */
#include "cli/progress.h"

#include "base/clock.h"
#include "base/human.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TICK_MS	   200 /* between two looks */
#define LINE_S	   5.0 /* between lines when standard error is no terminal */
#define SETTLED_S  2.0 /* before that the rate does not predict the time left */
#define LINE_WIDTH 512u

static struct {
	pthread_mutex_t lock; /* guards all of this */
	pthread_cond_t wake;  /* made by progress_begin */
	bool running;	      /* the thread exists, and so does wake */
	bool stopping;
	bool done;
	bool asked;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Written by progress_begin before the thread starts, then used by the thread alone. */
static struct {
	struct progress_view view;
	bool bar;	/* redraw a line on a terminal */
	bool lines;	/* print a line now and then */
	int percent_fd; /* -1: none */
	int percent;	/* the last one written, -1: none yet */
	double last_s;	/* when last_covered was taken */
	double line_s;	/* when the last line was printed */
	double rate;	/* bytes per second, smoothed */
	uint64_t last_covered;
} state;

static double began_s;
static pthread_t thread;
static atomic_bool bar_shown;

double progress_seconds(void)
{
	return clock_s() - began_s;
}

int progress_check(const struct progress_options *options, const char *output, struct error *err)
{
	if (options->fd == UINT64_MAX)
		return 0;
	if (fcntl((int)options->fd, F_GETFD) < 0)
		return fail(err, ERR_USAGE, "--progress-fd %llu: that descriptor is not open",
			    (unsigned long long)options->fd);
	if (options->fd == STDOUT_FILENO && output != NULL && strcmp(output, "-") == 0)
		return fail(err, ERR_USAGE, "--progress-fd 1: the output goes there");
	return 0;
}

static uint64_t load(_Atomic uint64_t *counter)
{
	return counter == NULL ? 0 : atomic_load_explicit(counter, memory_order_relaxed);
}

/* From 0 to 1. The last cluster of a drive may extend past its end, but counts in full. */
static double fraction(uint64_t covered)
{
	if (state.view.total_bytes == 0 || covered >= state.view.total_bytes)
		return state.view.total_bytes == 0 ? 0 : 1;
	return (double)covered / (double)state.view.total_bytes;
}

/* Smooths the rate over some two seconds, so that it is readable and still follows changes. */
static void measure(uint64_t covered)
{
	double now = progress_seconds(), passed = now - state.last_s, weight;

	if (passed < 0.05)
		return;
	weight = state.last_s == 0 ? 1 : passed / (passed + 2);
	state.rate += weight * ((double)(covered - state.last_covered) / passed - state.rate);
	state.last_s = now;
	state.last_covered = covered;
}

/* "label  42%  1.7 GiB of 4.0 GiB  812 MiB/s  0:03 left  31% zero  ratio 2.9", without the label
 * and bar. */
static void describe(char out[LINE_WIDTH])
{
	uint64_t covered = load(state.view.covered_bytes), data = load(state.view.data_bytes);
	uint64_t archive = load(state.view.archive_bytes);
	uint64_t total = state.view.total_bytes;
	char did[HUMAN_SIZE], all[HUMAN_SIZE], rate[HUMAN_SIZE], left[HUMAN_SIZE];
	int n;

	measure(covered);
	if (covered > total)
		covered = total;
	n = snprintf(out, LINE_WIDTH, "%3d%%  %s of %s  %s/s", (int)(100 * fraction(covered)),
		     human_size(did, covered), human_size(all, total),
		     human_size(rate, state.rate < 1e18 ? (uint64_t)state.rate : 0));
	if (state.rate >= 1 && progress_seconds() >= SETTLED_S)
		n += snprintf(out + n, LINE_WIDTH - (size_t)n, "  %s left",
			      human_duration(left, (double)(total - covered) / state.rate));
	if (covered > 0 && data <= covered)
		n += snprintf(out + n, LINE_WIDTH - (size_t)n, "  %d%% zero",
			      (int)(100 * (1 - (double)data / (double)covered)));
	if (archive > 0 && data > 0)
		snprintf(out + n, LINE_WIDTH - (size_t)n, "  ratio %.1f",
			 (double)data / (double)archive);
}

static void print_line(void)
{
	char text[LINE_WIDTH];

	describe(text);
	say(stderr, "vmabak: %s: %s\n", state.view.label, text);
	state.line_s = progress_seconds();
}

static unsigned terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col < LINE_WIDTH - 2 ? size.ws_col : LINE_WIDTH - 2;
}

/* Blanks erase the old text: without escape sequences, so that any terminal will do. */
static void draw(const char *text)
{
	unsigned width = terminal_width() - 1;

	fprintf(stderr, "\r%-*.*s", (int)width, (int)width, text);
	fflush(stderr);
}

static void draw_bar(void)
{
	char text[LINE_WIDTH], line[2 * LINE_WIDTH], bar[64];
	unsigned width = terminal_width() - 1, space, full;
	size_t used;

	describe(text);
	used = strlen(text) + 3;
	space = width > used + 10 ? width - (unsigned)used : 0;
	if (space > 40)
		space = 40;
	full = (unsigned)(space * fraction(load(state.view.covered_bytes)));
	for (unsigned i = 0; i < space; i++)
		bar[i] = i < full ? '=' : i == full ? '>' : ' ';
	bar[space] = '\0';
	if (space > 0)
		snprintf(line, sizeof(line), "[%s] %s", bar, text);
	else
		snprintf(line, sizeof(line), "%s", text);
	draw(line);
	atomic_store(&bar_shown, true);
}

static void erase_bar(void)
{
	if (!atomic_exchange(&bar_shown, false))
		return;
	draw("");
	fputc('\r', stderr);
	fflush(stderr);
}

/* Does not wait for a reader that does not read, or has gone. */
static void write_percent(bool done)
{
	double parts = state.view.n_parts > 1 ? state.view.n_parts : 1;
	double one = done ? 1 : fraction(load(state.view.covered_bytes));
	int percent = (int)(100 * ((double)state.view.part + one) / parts);
	struct pollfd ready = {.fd = state.percent_fd, .events = POLLOUT};
	char text[16];
	int n;

	/* 100 means done, not nearly done. */
	if (!done && percent > 99)
		percent = 99;
	if (state.percent_fd < 0 || percent == state.percent)
		return;
	if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0)
		return;
	n = snprintf(text, sizeof(text), "%d/100\n", percent);
	if (write(state.percent_fd, text, (size_t)n) < 0 && errno != EINTR && errno != EAGAIN)
		state.percent_fd = -1;
	state.percent = percent;
}

static void look(bool asked)
{
	if (asked) {
		erase_bar();
		print_line();
	}
	if (state.bar)
		draw_bar();
	else if (state.lines && progress_seconds() - state.line_s >= LINE_S)
		print_line();
	write_percent(false);
}

static void *run(void *unused)
{
	bool stopping = false, done = false, asked;

	(void)unused;
	while (!stopping) {
		pthread_mutex_lock(&shared.lock);
		if (!shared.stopping && !shared.asked)
			clock_cond_wait(&shared.wake, &shared.lock, clock_ms() + TICK_MS);
		stopping = shared.stopping;
		done = shared.done;
		asked = shared.asked;
		shared.asked = false;
		pthread_mutex_unlock(&shared.lock);
		if (!stopping || asked)
			look(asked);
	}
	erase_bar();
	if (done)
		write_percent(true);
	return NULL;
}

void progress_begin(const struct progress_options *options, bool mute,
		    const struct progress_view *view)
{
	bool terminal = isatty(STDERR_FILENO);
	int percent = state.view.n_parts > 1 && view->part > 0 ? state.percent : -1;

	memset(&state, 0, sizeof(state));
	state.view = *view;
	state.percent = percent;
	state.percent_fd = options->fd == UINT64_MAX ? -1 : (int)options->fd;
	state.bar = terminal && (options->when == PROGRESS_ALWAYS ||
				 (options->when != PROGRESS_NEVER && !mute));
	state.lines = !terminal && options->when == PROGRESS_ALWAYS;
	began_s = clock_s();
	pthread_mutex_lock(&shared.lock);
	clock_cond_init(&shared.wake);
	shared.stopping = shared.done = shared.asked = false;
	shared.running = pthread_create(&thread, NULL, run, NULL) == 0;
	if (!shared.running)
		pthread_cond_destroy(&shared.wake);
	pthread_mutex_unlock(&shared.lock);
}

void progress_end(bool done)
{
	bool running;

	pthread_mutex_lock(&shared.lock);
	running = shared.running;
	shared.running = false;
	shared.stopping = true;
	shared.done = done;
	if (running)
		pthread_cond_signal(&shared.wake);
	pthread_mutex_unlock(&shared.lock);
	if (!running)
		return;
	pthread_join(thread, NULL);
	pthread_cond_destroy(&shared.wake);
}

void progress_ask(void)
{
	pthread_mutex_lock(&shared.lock);
	shared.asked = true;
	if (shared.running)
		pthread_cond_signal(&shared.wake);
	pthread_mutex_unlock(&shared.lock);
}

void progress_abandon(void)
{
	ssize_t ignored;

	if (!atomic_load(&bar_shown))
		return;
	ignored = write(STDERR_FILENO, "\n", 1);
	(void)ignored;
}
