#include "cli/report.h"

#include "base/human.h"
#include "base/json.h"
#include "base/stop.h"
#include "cli/memory.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_SIZE 8192u /* bytes; longer lines are cut */

static int exit_code_of(int code)
{
	switch (code) {
	case ERR_DAMAGED:
	case ERR_INCOMPLETE:
		return EXIT_DAMAGED;
	case ERR_USAGE:
		return EXIT_USAGE;
	case ERR_FULL:
		return EXIT_FULL;
	case ERR_LOCKED:
		return EXIT_LOCKED;
	default:
		return EXIT_FAILED;
	}
}

int exit_code_worse(int code, int other)
{
	if (code == EXIT_DAMAGED || other == EXIT_DAMAGED)
		return EXIT_DAMAGED;
	return code != EXIT_DONE ? code : other;
}

void report_begin(struct report *report, const char *command, bool json)
{
	*report = (struct report){.json = json, .command = command};
	if (!json)
		return;
	report->result = json_new();
	if (report->result == NULL) /* which means: no JSON */
		memory_give_up();
	json_put_text(report->result, "command", command);
	/* Always there, mostly empty. */
	json_put_array(report->result, "warnings");
}

static void tell(void *context, enum watcher_level level, const char *text)
{
	if (level == WATCHER_WARNING)
		report_warning(context, "%s", text);
	else if (level == WATCHER_NOTE)
		report_note(context, "%s", text);
	else
		report_detail(context, "%s", text);
}

static void begin(void *context, const struct progress_view *view)
{
	const struct report *report = context;

	progress_begin(&report->options.progress, report->options.quiet || report->text_off, view);
}

static void end(void *context, bool done)
{
	(void)context;
	progress_end(done);
}

static void give_up(void *context, const struct error *why)
{
	int code = report_error(context, NULL, why);

	signals_abandon();
	progress_abandon();
	_exit(report_end(context, code));
}

static void tell_interrupted_json(const struct report *report, int number, const char *text)
{
	struct json_t *object = json_make("{s:[], s:i}", "warnings", "exit_code", 128 + number);
	struct json_t *error = json_put_object(object, "error");
	char *line;

	json_put_text(object, "command", report->command);
	json_put_text(error, "code", "interrupted");
	json_put_text(error, "message", text);
	line = json_line(object);
	if (line != NULL)
		say_now(report->text_off ? STDERR_FILENO : STDOUT_FILENO, "%s\n", line);
	free(line);
	json_free(object);
}

static void tell_interrupted(const void *context, int number, bool in_vain)
{
	const struct report *report = context;
	const char *output = report->output;
	char text[LINE_SIZE];

	if (output == NULL)
		snprintf(text, sizeof(text), "interrupted");
	else if (strcmp(output, "-") == 0)
		snprintf(text, sizeof(text), "interrupted; standard output is incomplete");
	else
		snprintf(text, sizeof(text), "%.500s: interrupted%s", output,
			 in_vain ? "; nothing was kept" : "");
	if (!report->text_off)
		say_now(STDERR_FILENO, "vmabak: %s\n", text);
	if (report->json)
		tell_interrupted_json(report, number, text);
}

void report_use(struct report *report, const struct report_options *options, const char *output)
{
	report->options = *options;
	report->output = output;
	signals_tell(tell_interrupted, report);
	report->text_off = report->json && output != NULL && strcmp(output, "-") == 0;
	report->watcher = (struct watcher){
		.context = report,
		.tell = tell,
		.begin = begin,
		.end = end,
		.give_up = give_up,
	};
}

/* Faults at a place in an archive. */
static void print_fault(const char *archive, const struct error *err)
{
	static const char incomplete[] = "incomplete: ";
	bool cut = strncmp(err->text, incomplete, sizeof(incomplete) - 1) == 0;
	const char *text = err->text + (cut ? sizeof(incomplete) - 1 : 0);
	bool damaged = err->code == ERR_DAMAGED || err->code == ERR_INCOMPLETE;
	bool rest = damaged && err->place > 0;

	say(stderr, "vmabak: %s: %sbyte %llu: %s%s\n", archive == NULL ? "-" : archive,
	    cut	      ? "incomplete at "
	    : damaged ? "damaged at "
		      : "",
	    (unsigned long long)err->place, text,
	    rest ? "; 'vmabak salvage' recovers the rest" : "");
}

int report_error_line(struct report *report, const char *archive, const struct error *err)
{
	/* A failure that a signal caused needs no report. */
	bool silent = report->text_off || stop_ends_process();

	if (!silent && err->has_place)
		print_fault(archive, err);
	else if (!silent)
		say(stderr, "vmabak: %s\n", err->text);
	return exit_code_of(err->code);
}

struct json_t *report_error_object(const struct report *report, const struct error *err)
{
	struct json_t *object;

	if (report->result == NULL)
		return NULL;
	object = json_new();
	json_put_text(object, "code", error_code_name(err->code));
	json_put_text(object, "message", err->text);
	if (err->has_place)
		json_put_number(object, "byte", err->place);
	return object;
}

int report_error(struct report *report, const char *archive, const struct error *err)
{
	json_put(report->result, "error", report_error_object(report, err));
	return report_error_line(report, archive, err);
}

static void say_line(const char *format, va_list arguments)
{
	char text[LINE_SIZE];

	vsnprintf(text, sizeof(text), format, arguments);
	say(stderr, "vmabak: %s\n", text);
}

void report_warning(struct report *report, const char *format, ...)
{
	va_list arguments;
	char text[LINE_SIZE];

	report->n_warnings++;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!report->text_off)
		say(stderr, "vmabak: warning: %s\n", text);
	json_add_text(json_get_array(report->result, "warnings"), text);
}

void report_note(struct report *report, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (!report->options.quiet && !report->text_off)
		say_line(format, arguments);
	va_end(arguments);
}

void report_done(struct report *report, const char *name, const char *format, ...)
{
	va_list arguments;
	char text[LINE_SIZE], size[HUMAN_SIZE], fetched[HUMAN_SIZE + 20] = "";
	bool named = strcmp(name, "-") != 0;

	if (report->options.quiet || report->text_off)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (store_fetched_bytes() > 0)
		snprintf(fetched, sizeof(fetched), ", %s fetched",
			 human_size(size, store_fetched_bytes()));
	say(stderr, "%s%s%s%s\n", named ? name : "", named ? ": " : "", text, fetched);
}

void report_detail(struct report *report, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (report->options.verbose && !report->text_off)
		say_line(format, arguments);
	va_end(arguments);
}

void report_flush(struct report *report)
{
	bool failed_before = ferror(stdout) != 0;

	errno = 0;
	/* An earlier failure left no errno: one more byte, which no longer matters, fails for the
	 * same reason. */
	if (failed_before) {
		clearerr(stdout);
		fputc('\n', stdout);
	}
	if (fflush(stdout) != 0 && report->output_errno == 0)
		report->output_errno = errno;
	if ((failed_before || ferror(stdout)) && report->output_errno == 0)
		report->output_errno = EIO;
}

/* Network file systems report a full disk or a quota when a descriptor is closed. Any descriptor
 * will do, so standard output itself stays open. */
static void close_a_copy(struct report *report)
{
	struct stat found;

	if (fstat(STDOUT_FILENO, &found) != 0 || !S_ISREG(found.st_mode) ||
	    lseek(STDOUT_FILENO, 0, SEEK_CUR) == 0)
		return;
	int copy = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	if (copy >= 0 && close(copy) != 0 && report->output_errno == 0)
		report->output_errno = errno;
}

/* Failures of stdio are known only now: a full disk, a closed pipe. */
static int check_output(struct report *report)
{
	struct error err = {0};

	report_flush(report);
	close_a_copy(report);
	if (report->output_errno == 0)
		return EXIT_DONE;
	fail_system(&err, report->output_errno, "standard output");
	say(stderr, "vmabak: %s\n", err.text);
	return exit_code_of(err.code);
}

int report_end(struct report *report, int exit_code)
{
	int checked;

	signals_tell(NULL, NULL);
	if (exit_code == EXIT_DONE && report->n_warnings > 0)
		exit_code = EXIT_WARNINGS;
	if (!report->no_document) {
		if (store_fetched_bytes() > 0)
			json_put_number(report->result, "fetched_bytes", store_fetched_bytes());
		json_put_number(report->result, "exit_code", (uint64_t)exit_code);
		if (!json_print(report->result, report->text_off ? stderr : stdout))
			memory_give_up();
	} else {
		json_free(report->result);
	}
	report->result = NULL;
	if (exit_code != EXIT_DONE && exit_code != EXIT_WARNINGS) {
		report_flush(report); /* the reason has been reported */
		return exit_code;
	}
	checked = check_output(report);
	return checked == EXIT_DONE ? exit_code : checked;
}
