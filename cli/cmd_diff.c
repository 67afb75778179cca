#include "archive/diff.h"
#include "archive/diff_list.h"
#include "base/human.h"
#include "base/json.h"
#include "base/sandbox.h"
#include "base/unnamed.h"
#include "base/text.h"
#include "cli/groups.h"
#include "cli/say.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct diff_options {
	struct common_options common;
	struct strings folders;
	const char *map;
};

static const struct diff_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	OPTION_PARENTS(diff_options, folders),
	{"map", 0, OPTION_TEXT, OPTION_FIELD(diff_options, map), .argument = "FILE|DIR",
	 .help = "also write what differs to FILE, as a list for 'backup --changed'; to "
		 "DIR/NAME.changes for each drive if DIR is there"},
	OPTIONS_END,
};

/* What goes to one drive: its lines, or its object in JSON. */
struct telling {
	struct report *report;
	struct json_t *drives, *ranges; /* NULL without --json */
	struct diff_list list;		/* path: NULL without --map */
};

static int tell_drive(void *context, const struct archive_drive *a, const struct archive_drive *b,
		      struct error *err)
{
	struct telling *telling = context;
	const struct archive_drive *one = a != NULL ? a : b;
	char name[80], sizes[2][HUMAN_SIZE];
	struct json_t *object;

	if (telling->list.path != NULL && a != NULL && b != NULL)
		TRY(diff_list_begin(&telling->list, b, err));
	if (telling->drives != NULL) {
		object = json_add_object(telling->drives);
		json_put_bytes(object, "name", one->name);
		if (a != NULL)
			json_put_number(object, "size_a_bytes", a->size_bytes);
		if (b != NULL)
			json_put_number(object, "size_b_bytes", b->size_bytes);
		telling->ranges = json_put_array(object, "ranges");
		return 0;
	}
	escape_text(name, sizeof(name), one->name.bytes, one->name.length);
	if (a == NULL || b == NULL)
		say(stdout, "drive %s: only in the %s\n", name, a != NULL ? "first" : "second");
	else if (a->size_bytes != b->size_bytes)
		say(stdout, "drive %s: %s in the first, %s in the second\n", name,
		    human_size(sizes[0], a->size_bytes), human_size(sizes[1], b->size_bytes));
	else
		say(stdout, "drive %s: %s\n", name, human_size(sizes[0], a->size_bytes));
	return 0;
}

static int tell_range(void *context, uint64_t offset, uint64_t length, struct error *err)
{
	struct telling *telling = context;
	struct json_t *range;

	TRY(diff_list_range(&telling->list, offset, length, err));
	if (telling->drives == NULL) {
		say(stdout, "%20llu %20llu\n", (unsigned long long)offset,
		    (unsigned long long)length);
		return 0;
	}
	range = json_add_object(telling->ranges);
	json_put_number(range, "offset", offset);
	json_put_number(range, "length", length);
	return 0;
}

/* What is read is in files without names, what is written in that of --map. */
static int enter_sandbox(const struct diff_options *options, struct error *err)
{
	struct sandbox sandbox;
	char *beside = text_make("%s/.", unnamed_folder());
	char *below = options->map == NULL ? NULL : text_make("%s/.", options->map);

	sandbox_begin(&sandbox);
	sandbox_allow_reading(&sandbox);
	sandbox_allow_file(&sandbox, beside);
	sandbox_allow_file(&sandbox, options->map);
	sandbox_allow_file(&sandbox, below);
	free(beside);
	free(below);
	return sandbox_enter(&sandbox, err);
}

static int tell_all(const struct diff_options *options, const struct diff_side sides[2],
		    struct report *report, bool *same, struct error *err)
{
	struct telling telling = {.report = report};
	const struct diff_teller teller = {&telling, tell_drive, tell_range};
	int code;

	if (options->map != NULL)
		diff_list_init(&telling.list, options->map);
	telling.drives = json_put_array(report->result, "drives");
	code = diff_run(sides, &teller, same, err);
	if (code == 0)
		code = diff_list_end(&telling.list, err);
	diff_list_close(&telling.list);
	return code;
}

static int compare(const struct diff_options *options, struct report *report, bool *same,
		   struct error *err)
{
	const char *const *names = (const char *const *)options->common.arguments.items;
	struct diff_side sides[2];
	int code = diff_sides_begin(sides, names, &report->watcher, err);

	if (code == 0)
		code = enter_sandbox(options, err);
	if (code == 0)
		code = diff_sides_find(sides, &options->folders, unnamed_folder(), &report->watcher,
				       err);
	if (code == 0)
		code = tell_all(options, sides, report, same, err);
	diff_sides_close(sides);
	return code;
}

static int run(const void *given, struct report *report)
{
	const struct diff_options *options = given;
	const struct strings *names = &options->common.arguments;
	struct error err = {0};
	bool same = false;
	int code = compare(options, report, &same, &err);

	if (code != 0)
		return report_error(report, NULL, &err);
	json_put_text(report->result, "a", names->items[0]);
	json_put_text(report->result, "b", names->items[1]);
	json_put_bool(report->result, "same", same);
	report_flush(report);
	/* The ranges may not have reached anybody: what is told of that comes later. */
	return same || report->output_errno != 0 ? EXIT_DONE : EXIT_DAMAGED;
}

const struct command command_diff = {
	.name = "diff",
	.usage = "A B [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "show which ranges of drives differ",
	.help = "Compare the drives of two archives or sums files by their checksums, without\n"
		"decompressing data. For each drive: its name, then the offset and length in\n"
		"bytes of each range that differs, in steps of 64 KiB. The exit code is 0 if\n"
		"nothing differs, 4 if something does. The parents of an incremental archive are\n"
		"found in its folder; ARCHIVE.sums is used instead if it is there. A or B may be\n"
		"a drive, too: NAME=IMAGE as for a backup, or the URI of an NBD export. It is\n"
		"read and compared with the drive of that name alone.\n"
		"\n"
		"Example:\n"
		"  vmabak diff monday.vmab tuesday.vmab\n"
		"  vmabak diff monday.vmab root=web.qcow2\n",
	.run = run,
	.groups = {{"Options", specs, 0},
		   {NULL, common_specs, 0},
		   {NULL, tape_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = 2,
};
