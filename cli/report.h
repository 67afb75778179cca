/*
 * What a run reports: errors, warnings and notes on standard error, the JSON result, the exit code.
 *
 * With --json each command prints one object on standard output, or on standard error if the
 * archive itself goes to standard output; then nothing else goes to standard error. Members stay;
 * new ones may be added. They are documented in vmabak-json(5), and tests/man.sh holds that page
 * against the program.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "base/error.h"
#include "base/watcher.h"
#include "cli/progress.h"

struct json_t;

/* design: frozen. 128 + n when signal n ended the program. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_WARNINGS = 3,
	EXIT_DAMAGED = 4,
	EXIT_LOST = 5,
	EXIT_FULL = 6,
	EXIT_LOCKED = 7,
};

/* Of several archives: damage outweighs all else, otherwise the first failure counts. */
int exit_code_worse(int code, int other);

struct report_options {
	bool quiet;
	bool verbose;
	bool json;
	struct progress_options progress;
};

struct report {
	struct report_options options;
	const char *command, *output; /* borrowed; output: the archive that is written, or NULL */
	bool json;
	bool text_off;	  /* the JSON goes to standard error, which then holds nothing else */
	bool no_document; /* the result is text even with --json (completion and the like) */
	struct json_t
		*result; /* owned; an object; NULL without json: the put functions take that */
	unsigned n_warnings;
	int output_errno;	/* why writing to standard output failed; 0: it did not */
	struct watcher watcher; /* passes on warnings, notes, details and progress */
};

void report_begin(struct report *report, const char *command, bool json);
/* output: the archive that is written, or NULL. With "-" the JSON goes to standard error. */
void report_use(struct report *report, const struct report_options *options, const char *output);

/* "vmabak: ARCHIVE: damaged at byte N: text" or "vmabak: text". Returns the exit code that fits. */
int report_error(struct report *report, const char *archive, const struct error *err);
/* The same line, but not part of the result, for commands that go on. */
int report_error_line(struct report *report, const char *archive, const struct error *err);
/* {"code": ..., "message": ..., "byte": ...}; NULL without json. Owned by whoever it is put into.
 */
struct json_t *report_error_object(const struct report *report, const struct error *err);

/* The command succeeds, with exit code 3: the user must know this. */
void report_warning(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Information; not with --quiet. */
void report_note(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The result of a command that wrote something, not with --quiet: "ARCHIVE: text", or only the text
 * if it was a standard stream. */
void report_done(struct report *report, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* With --verbose only. */
void report_detail(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Flushes standard output, so that it precedes later text on standard error. report_end reports a
 * failure. */
void report_flush(struct report *report);

/* Prints the JSON result, checks standard output, frees. Returns the exit code of the program. */
int report_end(struct report *report, int exit_code);

#endif
