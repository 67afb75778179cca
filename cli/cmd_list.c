#include "archive/open.h"
#include "base/json.h"
#include "base/sandbox.h"
#include "cli/groups.h"
#include "cli/say.h"
#include "cli/tell_folder.h"
#include "cli/tell_list.h"
#include "cli/tell_tape.h"
#include "reader/reader.h"

#include <limits.h>
#include <stdio.h>

/* One archive is shown in full, and several have a line each unless more is asked for. */
static void print(const struct opened_archive *opened, const struct list_end *end, unsigned i,
		  const struct strings *names, bool verbose)
{
	if (names->n > 1 && !verbose) {
		list_table_row(names, opened, end);
		return;
	}
	if (i > 0)
		say(stdout, "\n");
	if (names->n > 1)
		say(stdout, "%-11s %s\n", "archive", opened->name);
	list_print(opened, end);
}

/* object: where its members go in JSON. *err: why the code is not EXIT_DONE. */
static int list_one(const struct strings *names, unsigned i, struct report *report,
		    struct json_t *object, struct error *err)
{
	struct opened_archive opened;
	struct list_end end = {0};
	int code = EXIT_DONE;

	if (archive_open_next(&opened, names, i, 0, err) == 0) {
		end.found = reader_find_tail(opened.reader, opened.input, &end.totals, &end.err);
		if (report->json)
			list_put(&opened, &end, object);
		else
			print(&opened, &end, i, names, report->options.verbose);
		*err = end.err;
	}
	report_flush(report);
	if (err->code != 0)
		code = report_error_line(report, opened.name, err);
	archive_close(&opened);
	return code;
}

/* A folder and a tape have archives that are still to be opened: then reading is all that is
 * allowed. */
static int confine(const struct strings *names, struct error *err)
{
	struct sandbox sandbox;
	unsigned i = 0;

	while (i < names->n && !list_is_folder(names->items[i]) && !list_is_tape(names->items[i]))
		i++;
	if (i == names->n)
		return 0;
	sandbox_begin(&sandbox);
	sandbox_allow_reading(&sandbox);
	return sandbox_enter(&sandbox, err);
}

/* One archive is the result itself, several are in an array. */
static int run(const void *given, struct report *report)
{
	const struct plain_options *options = given;
	const struct strings *names = &options->common.arguments;
	struct json_t *archives = NULL, *one = report->result;
	struct error err = {0};
	int code = EXIT_DONE;

	if (archive_check_names(names, &err) < 0 || confine(names, &err) < 0)
		return report_error(report, NULL, &err);
	if (names->n > 1)
		archives = json_put_array(report->result, "archives");
	if (names->n > 1 && !report->json && !report->options.verbose)
		list_table_title(names);
	for (unsigned i = 0; i < names->n; i++) {
		err = (struct error){0};
		if (archives != NULL) {
			one = json_add_object(archives);
			json_put_text(one, "archive", names->items[i]);
		}
		if (list_is_folder(names->items[i]))
			code = exit_code_worse(code,
					       list_folder(names->items[i], report, one, &err));
		else if (list_is_tape(names->items[i]))
			code = exit_code_worse(code, list_tape(names->items[i], report, one, &err));
		else
			code = exit_code_worse(code, list_one(names, i, report, one, &err));
		if (err.code != 0)
			json_put(one, "error", report_error_object(report, &err));
	}
	return code;
}

const struct command command_list = {
	.name = "list",
	.usage = "ARCHIVE|DIR... [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "show the contents of archives",
	.help = "List the contents of archives, and whether they have their end mark if that is\n"
		"known without reading everything. ARCHIVE may be compressed; - is standard\n"
		"input. Several archives have a line each; with --verbose everything is shown.\n"
		"Of a folder DIR that 'backup --to' writes to the chains are shown, and of a\n"
		"tape drive all that is on the tape, which is rewound.\n"
		"\n"
		"Example:\n"
		"  vmabak list /backup/*.vmab\n",
	.run = run,
	.groups = {{"Options", common_specs, 0}, {NULL, tape_specs, 0}, {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(plain_defaults),
	.min_arguments = 1,
	.max_arguments = UINT_MAX,
};
