/*
 * One thread runs from progress_begin to progress_end. It wakes five times per second, and when a
 * line is asked for. Everything that it shares with others is in `shared`, under one lock, which it
 * does not hold while it prints.
 */
#include "cli/progress.h"

#include "base/clock.h"
#include "base/human.h"
#include "base/name.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TICK_MS	   200 /* between two looks */
#define LINE_S	   5.0 /* between lines when standard error is no terminal */
#define SETTLED_S  2.0 /* before that the rate does not predict the time left */
#define LINE_WIDTH 512u
#define LABEL_MAX  32u /* columns of a name in a bar; longer ones lose their beginning */
#define LABEL_SIZE (LABEL_MAX + 3u)
#define BAR_MIN	   8u
#define BAR_MAX	   40u

static struct {
	pthread_mutex_t lock; /* guards all of this */
	pthread_cond_t wake;  /* made by progress_begin */
	bool running;	      /* the thread exists, and so does wake */
	bool stopping;
	bool done;
	bool asked;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};
static atomic_bool survey_stop; /* set by progress_end: nobody needs the result any more */

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
	uint64_t last_done;
	bool surveyed;
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

/* How far it is. */
struct figures {
	uint64_t done, left;
	bool knows_left;
	double fraction; /* from 0 to 1 */
};

/* The total is known, or an estimate that may be too small. Of a pipe it is unknown: then the part
 * of the drives that was covered is all there is, but that jumps over holes. */
static struct figures take_figures(void)
{
	const struct progress_view *view = &state.view;
	uint64_t covered = load(view->covered_bytes);
	uint64_t uncovered = covered < view->drives_bytes ? view->drives_bytes - covered : 0;
	struct figures now = {.done = load(view->done_bytes)};

	if (view->total_bytes == 0 && !view->of_drives) {
		if (view->drives_bytes > 0)
			now.fraction = 1 - (double)uncovered / (double)view->drives_bytes;
		return now;
	}
	now.left = view->total_bytes > now.done ? view->total_bytes - now.done : 0;
	if (view->of_drives && (view->total_bytes == 0 || now.left > uncovered))
		now.left = uncovered;
	now.knows_left = now.left > 0 || !view->of_drives || uncovered == 0;
	now.fraction = now.left == 0 ? 1 : (double)now.done / ((double)now.done + (double)now.left);
	return now;
}

/* 100 means done, which includes that the output is on the disk. */
static int percent_of(double fraction)
{
	int percent = (int)(100 * fraction);

	return percent > 99 ? 99 : percent;
}

/* Smooths the rate over some two seconds, so that it is readable and still follows changes. */
static void measure(uint64_t done)
{
	double now = progress_seconds(), passed = now - state.last_s, weight;

	if (passed < 0.05)
		return;
	weight = state.last_s == 0 ? 1 : passed / (passed + 2);
	state.rate += weight * ((double)(done - state.last_done) / passed - state.rate);
	state.last_s = now;
	state.last_done = done;
}

/* Asks once how much there is to do. */
static void survey(void)
{
	uint64_t total;

	if (state.surveyed || state.view.survey == NULL)
		return;
	state.surveyed = true;
	total = state.view.survey(state.view.survey_context, &survey_stop);
	if (total != UINT64_MAX)
		state.view.total_bytes = total > 0 ? total : 1;
}

enum {
	SHOW_RATE = 1,
	SHOW_DRIVE = 2,
	SHOW_DONE = 4,
	SHOW_LABEL = 8,
	SHOW_ALL = 15,
};

static size_t add(char out[LINE_WIDTH], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static size_t add(char out[LINE_WIDTH], const char *format, ...)
{
	size_t used = strlen(out);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(out + used, LINE_WIDTH - used, format, arguments);
	va_end(arguments);
	return strlen(out);
}

/* "2/7 web.vmab: root" */
static void name_work(char out[LINE_WIDTH], const char *label, unsigned show)
{
	char drive[LABEL_MAX] = "";

	out[0] = '\0';
	if (state.view.n_parts > 1)
		add(out, "%u/%u", state.view.part + 1, state.view.n_parts);
	if ((show & SHOW_LABEL) == 0)
		return;
	add(out, "%s%s", state.view.n_parts > 1 ? " " : "", label);
	if ((show & SHOW_DRIVE) == 0 || state.view.drive_name == NULL)
		return;
	state.view.drive_name(state.view.drives, atomic_load(state.view.drive), drive,
			      sizeof(drive));
	if (*drive != '\0')
		add(out, ": %s", drive);
}

/* " 42%  1.7 GiB done, 2.3 GiB left (0:03), 812 MiB/s"; without percents if they would say nothing.
 */
static void describe(char out[LINE_WIDTH], const struct figures *now, unsigned show)
{
	char size[HUMAN_SIZE], left[HUMAN_SIZE];
	bool predicts = state.rate >= 1 && progress_seconds() >= SETTLED_S;

	out[0] = '\0';
	if (now->knows_left || state.view.of_drives)
		add(out, "%3d%%  ", percent_of(now->fraction));
	if ((show & SHOW_DONE) != 0 || !now->knows_left)
		add(out, "%s done", human_size(size, now->done));
	if (now->knows_left && (show & SHOW_DONE) != 0)
		add(out, ", ");
	if (now->knows_left && now->left == 0)
		add(out, "finishing");
	else if (now->knows_left)
		add(out, "%s left", human_size(size, now->left));
	if (now->knows_left && now->left > 0 && predicts)
		add(out, " (%s)", human_duration(left, (double)now->left / state.rate));
	if ((show & SHOW_RATE) != 0)
		add(out, ", %s/s", human_size(size, state.rate < 1e18 ? (uint64_t)state.rate : 0));
}

static void print_line(void)
{
	char name[LINE_WIDTH], text[LINE_WIDTH];
	struct figures now = take_figures();

	measure(now.done);
	name_work(name, state.view.label, SHOW_ALL);
	describe(text, &now, SHOW_ALL);
	say(stderr, "vmabak: %s: %s\n", name, text);
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

/* The last part of a path, made harmless, without its beginning if it is long. */
static void short_label(char out[LABEL_SIZE])
{
	const char *label = base_name(state.view.label);
	char clean[LINE_WIDTH];
	size_t length, from = 0;

	human_note(clean, sizeof(clean), (const uint8_t *)label, strlen(label));
	length = strlen(clean);
	if (length > LABEL_MAX) {
		from = length - LABEL_MAX + 2;
		while (from < length && ((uint8_t)clean[from] & 0xc0) == 0x80)
			from++;
	}
	snprintf(out, LABEL_SIZE, "%s%.*s", from > 0 ? ".." : "", (int)LABEL_MAX, clean + from);
}

/* "web.vmab: root [====>     ]  42%  1.7 GiB done, 2.3 GiB left (0:03), 812 MiB/s"; where that is
 * too wide, first the bar is left out, then what matters less. */
static void draw_bar(void)
{
	static const unsigned shows[] = {SHOW_ALL, SHOW_ALL - SHOW_RATE, SHOW_DONE + SHOW_LABEL,
					 SHOW_LABEL, 0};
	char text[LINE_WIDTH], name[LINE_WIDTH], line[3 * LINE_WIDTH], bar[BAR_MAX + 4] = "";
	char label[LABEL_SIZE];
	unsigned width = terminal_width() - 1, space, full;
	struct figures now = take_figures();
	size_t used = 0;

	measure(now.done);
	short_label(label);
	for (size_t i = 0; i < sizeof(shows) / sizeof(shows[0]); i++) {
		name_work(name, label, shows[i]);
		describe(text, &now, shows[i]);
		used = strlen(name) + 1 + strlen(text);
		if (used <= width)
			break;
	}
	space = width > used + 3 ? width - (unsigned)used - 3 : 0;
	if (space > BAR_MAX)
		space = BAR_MAX;
	if (space >= BAR_MIN && (now.knows_left || state.view.of_drives)) {
		full = (unsigned)(space * now.fraction);
		memset(bar + 1, ' ', space);
		memset(bar + 1, '=', full);
		if (full < space)
			bar[full + 1] = '>';
		bar[0] = '[';
		memcpy(bar + space + 1, "] ", 3);
	}
	snprintf(line, sizeof(line), "%s%s%s%s", name, *name != '\0' ? " " : "", bar, text);
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
	double one = done ? 1 : take_figures().fraction;
	int percent = (int)(100 * ((double)state.view.part + one) / parts);
	struct pollfd ready = {.fd = state.percent_fd, .events = POLLOUT};
	char text[16];
	int n;

	if (!done && percent > 99)
		percent = 99;
	if (state.percent_fd < 0 || percent <= state.percent)
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
	if (asked || state.bar || state.lines || state.percent_fd >= 0)
		survey();
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
	survey_stop = false;
	shared.running = pthread_create(&thread, NULL, run, NULL) == 0;
	if (!shared.running)
		pthread_cond_destroy(&shared.wake);
	pthread_mutex_unlock(&shared.lock);
}

void progress_end(bool done)
{
	bool running;

	survey_stop = true;
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
