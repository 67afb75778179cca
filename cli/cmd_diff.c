#include "archive/diff.h"
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
};

static const struct diff_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	OPTION_PARENTS(diff_options, folders),
	OPTIONS_END,
};

/* What goes to one drive: its lines, or its object in JSON. */
struct telling {
	struct report *report;
	struct json_t *drives, *ranges; /* NULL without --json */
};

static void tell_drive(void *context, const struct archive_drive *a, const struct archive_drive *b)
{
	struct telling *telling = context;
	const struct archive_drive *one = a != NULL ? a : b;
	char name[80], sizes[2][HUMAN_SIZE];
	struct json_t *object;

	if (telling->drives != NULL) {
		object = json_add_object(telling->drives);
		json_put_bytes(object, "name", one->name);
		if (a != NULL)
			json_put_number(object, "size_a_bytes", a->size_bytes);
		if (b != NULL)
			json_put_number(object, "size_b_bytes", b->size_bytes);
		telling->ranges = json_put_array(object, "ranges");
		return;
	}
	escape_text(name, sizeof(name), one->name.bytes, one->name.length);
	if (a == NULL || b == NULL)
		say(stdout, "drive %s: only in the %s\n", name, a != NULL ? "first" : "second");
	else if (a->size_bytes != b->size_bytes)
		say(stdout, "drive %s: %s in the first, %s in the second\n", name,
		    human_size(sizes[0], a->size_bytes), human_size(sizes[1], b->size_bytes));
	else
		say(stdout, "drive %s: %s\n", name, human_size(sizes[0], a->size_bytes));
}

static void tell_range(void *context, uint64_t offset, uint64_t length)
{
	struct telling *telling = context;
	struct json_t *range;

	if (telling->drives == NULL) {
		say(stdout, "%20llu %20llu\n", (unsigned long long)offset,
		    (unsigned long long)length);
		return;
	}
	range = json_add_object(telling->ranges);
	json_put_number(range, "offset", offset);
	json_put_number(range, "length", length);
}

static int find_side(struct found_sums *out, const struct diff_options *options, unsigned i,
		     const struct watcher *watcher, struct error *err)
{
	struct strings names;
	int code;

	if (!strings_join(&names, options->common.arguments.items[i], &options->folders, NULL))
		return fail_memory(err);
	code = sums_find(out, &names, unnamed_folder(), watcher, err);
	free(names.items);
	return code;
}

static int compare(const struct diff_options *options, struct report *report, bool *same,
		   struct error *err)
{
	struct telling telling = {.report = report};
	struct diff_teller teller = {&telling, tell_drive, tell_range};
	struct found_sums sides[2] = {0};
	/* What is written is in files without names. */
	int code = sandbox_enter_reading(unnamed_folder(), err);

	for (unsigned i = 0; i < 2 && code == 0; i++)
		code = find_side(&sides[i], options, i, &report->watcher, err);
	if (code == 0) {
		telling.drives = json_put_array(report->result, "drives");
		code = diff_run(&sides[0], &sides[1], &teller, same, err);
	}
	found_sums_close(&sides[0]);
	found_sums_close(&sides[1]);
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
	.summary = "show which ranges of drives differ between two archives",
	.help = "Compare the drives of two archives or sums files by their checksums, without\n"
		"decompressing data. For each drive: its name, then the offset and length in\n"
		"bytes of each range that differs, in steps of 64 KiB. The exit code is 0 if\n"
		"nothing differs, 4 if something does. The parents of an incremental archive are\n"
		"found in its folder; ARCHIVE.sums is used instead if it is there.\n"
		"\n"
		"Example:\n"
		"  vmabak diff monday.vmab tuesday.vmab\n",
	.run = run,
	.groups = {{"Options", specs, 0},
		   {NULL, common_specs, 0},
		   {NULL, tape_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = 2,
};
