#include "base/human.h"
#include "base/json.h"
#include "base/watcher.h"
#include "cli/groups.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "device/peek.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define NS INT64_C(1000000000) /* of a second */

struct ls_options {
	struct common_options common;
	struct peek_options peek;
};

static const struct ls_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	OPTION_PARENTS(peek_options, view.folders),
	OPTIONS_END,
};

/* "PLACE  WHAT" */
static void put_partition(struct json_t *list, const char *line, size_t n)
{
	const char *what = memmem(line, n, "  ", 2);
	size_t n_place = what == NULL ? n : (size_t)(what - line);
	struct json_t *one = json_add_object(list);

	json_put_bytes(one, "place", (struct text){(const uint8_t *)line, (uint32_t)n_place});
	n_place += n - n_place < 2 ? n - n_place : 2;
	json_put_bytes(one, "about",
		       (struct text){(const uint8_t *)line + n_place, (uint32_t)(n - n_place)});
}

static void put_entry(struct json_t *list, const char *line, size_t n)
{
	struct peek_line entry;
	struct json_t *one;
	char when[HUMAN_SIZE];

	if (!peek_parse_line(line, n, &entry))
		return;
	one = json_add_object(list);
	json_put_bytes(one, "name",
		       (struct text){(const uint8_t *)entry.name, (uint32_t)strlen(entry.name)});
	json_put_bool(one, "folder", entry.is_folder);
	json_put_number(one, "size_bytes", entry.size_bytes);
	/* In nanoseconds there is no year 2263. */
	if (entry.time_s > INT64_MAX / NS || entry.time_s < INT64_MIN / NS)
		entry.has_time = false;
	json_put_text(one, "changed", entry.has_time ? human_time(when, entry.time_s * NS) : NULL);
}

static void put_json(struct json_t *result, const struct ls_options *options,
		     const struct peek_listing *listing)
{
	struct json_t *list;
	const char *line = listing->text, *end = line + listing->length;

	json_put_text(result, "archive", options->common.arguments.items[0]);
	json_put_text(result, "place", options->peek.place);
	list = json_put_array(result, listing->of_drive ? "partitions" : "entries");
	for (const char *next; line < end; line = next + 1) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next != NULL ? next : end;
		if (next > line)
			(listing->of_drive ? put_partition : put_entry)(list, line,
									(size_t)(next - line));
	}
}

static int run(const void *given, struct report *report)
{
	struct ls_options options = *(const struct ls_options *)given;
	struct strings *arguments = &options.common.arguments;
	struct peek_listing listing = {0};
	struct error err = {0};

	options.peek.place = arguments->items[arguments->n - 1];
	options.peek.view.archives = (struct strings){arguments->items, arguments->n - 1};
	if (!signals_taken())
		fail_start(&err, EAGAIN, "cannot start a thread");
	else
		peek_list(&listing, &options.peek, &report->watcher, &err);
	if (report->json && err.code == 0)
		put_json(report->result, &options, &listing);
	else if (!report->json && listing.text != NULL &&
		 (err.code == 0 || err.code == ERR_DAMAGED))
		say_lines(stdout, (const uint8_t *)listing.text, listing.length);
	free(listing.text);
	return err.code == 0
		       ? EXIT_DONE
		       : report_error(report, err.has_place ? arguments->items[0] : NULL, &err);
}

const struct command command_ls = {
	.name = "ls",
	.usage = "ARCHIVE... DRIVE[:PARTITION][:PATH] [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "list partitions and folders of a drive of an archive",
	.help = "List the folder PATH, which begins with /, of a file system on a drive of an\n"
		"archive; without PARTITION and PATH, the partitions and LVM volumes of the\n"
		"drive. Nothing is restored. The file system is read by grub-fstest, of GRUB,\n"
		"through a FUSE mount that lasts as long as the command.\n"
		"\n"
		"Example:\n"
		"  vmabak ls web.vmab root\n"
		"  vmabak ls web.vmab root:gpt1:/etc\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct ls_options, peek)},
		   {NULL, result_specs, 0},
		   {NULL, brief_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = UINT_MAX,
};
