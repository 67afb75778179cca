#include "archive/changes.h"
#include "base/json.h"
#include "base/sandbox.h"
#include "cli/groups.h"
#include "cli/memory.h"
#include "cli/say.h"

#include <stdlib.h>

struct changes_options {
	struct common_options common;
	uint64_t size;
};

static const struct changes_options defaults = {
	.common = {COMMON_DEFAULTS},
	.size = CHANGES_ANY_SIZE,
};

static const struct option_spec specs[] = {
	{"size", 0, OPTION_SIZE, OPTION_FIELD(changes_options, size), .argument = "BYTES",
	 .max = INT64_MAX,
	 .help = "size of the drive, which a list that says another is not of (default: what the "
		 "list says)"},
	OPTIONS_END,
};

/* All that a list says, so that nothing is printed of one that is refused in the end. */
struct ranges {
	struct range {
		uint64_t offset, length;
	} * items; /* owned */
	size_t n, room;
};

static int add(void *context, uint64_t offset, uint64_t length, struct error *err)
{
	struct ranges *ranges = context;
	struct range *last = ranges->n > 0 ? &ranges->items[ranges->n - 1] : NULL;

	(void)err;
	if (last != NULL && last->offset + last->length == offset) {
		last->length += length;
		return 0;
	}
	if (ranges->n == ranges->room) {
		ranges->room = 2 * ranges->room + 64;
		ranges->items = memory_grow(ranges->items, ranges->room, sizeof(*ranges->items));
	}
	ranges->items[ranges->n++] = (struct range){offset, length};
	return 0;
}

static void tell_json(const struct changes_told *told, const struct ranges *ranges,
		      struct json_t *result)
{
	struct json_t *list, *one;

	json_put_number(result, "size_bytes", told->size_bytes);
	json_put_text(result, "since", *told->since == '\0' ? NULL : told->since);
	json_put_text(result, "until", *told->until == '\0' ? NULL : told->until);
	list = json_put_array(result, "ranges");
	for (size_t i = 0; i < ranges->n; i++) {
		one = json_add_object(list);
		json_put_number(one, "offset", ranges->items[i].offset);
		json_put_number(one, "length", ranges->items[i].length);
	}
}

/* spec/changes.md, section 2. */
static void tell(const struct changes_told *told, const struct ranges *ranges)
{
	say(stdout, "# vmabak changes 1\n");
	say(stdout, "# size %llu\n", (unsigned long long)told->size_bytes);
	if (*told->since != '\0')
		say(stdout, "# since %s\n", told->since);
	if (*told->until != '\0')
		say(stdout, "# until %s\n", told->until);
	for (size_t i = 0; i < ranges->n; i++)
		say(stdout, "%llu %llu\n", (unsigned long long)ranges->items[i].offset,
		    (unsigned long long)ranges->items[i].length);
	say(stdout, "# end %llu\n", (unsigned long long)ranges->n);
}

static int run(const void *given, struct report *report)
{
	const struct changes_options *options = given;
	struct changes_told told = {0};
	struct ranges ranges = {0};
	struct error err = {0};
	int code = sandbox_enter_reading(NULL, &err); /* a list may come from another host */

	if (code == 0)
		code = changes_scan(&told, options->common.arguments.items[0], CHANGES_ANY,
				    options->size, add, &ranges, &err);
	if (code != 0)
		code = report_error(report, NULL, &err);
	else if (report->result != NULL)
		tell_json(&told, &ranges, report->result);
	else
		tell(&told, &ranges);
	free(ranges.items);
	return code;
}

const struct command command_changes = {
	.name = "changes",
	.usage = "LIST[,format=FORMAT][,...] [OPTION]...",
	.operand = "LIST",
	.summary = "print what a list of changes says",
	.help = "Print which ranges of a drive have changed by a list that another tool wrote,\n"
		"in the format of vmabak's own lists, or why it is none that 'backup --changed'\n"
		"would take. LIST is a file, a device or -, standard input. Its format is\n"
		"determined by its content where that shows it, else by ,format=FORMAT.\n"
		"\n"
		"Example:\n"
		"  rbd export-diff --from-snap mon pool/web@tue - | vmabak changes -\n",
	.run = run,
	.groups = {{"Options", specs, 0}, {NULL, common_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
