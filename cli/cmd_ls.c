#include "base/watcher.h"
#include "cli/groups.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "device/peek.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

struct ls_options {
	struct common_options common;
	struct peek_options peek;
};

static const struct ls_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	OPTION_PARENTS(peek_options, view.folders),
	OPTIONS_END,
};

static int run(const void *given, struct report *report)
{
	struct ls_options options = *(const struct ls_options *)given;
	struct strings *arguments = &options.common.arguments;
	struct error err = {0};
	char *text = NULL;
	size_t length = 0;

	options.peek.place = arguments->items[arguments->n - 1];
	options.peek.view.archives = (struct strings){arguments->items, arguments->n - 1};
	if (!signals_taken())
		fail_start(&err, EAGAIN, "cannot start a thread");
	else
		peek_list(&text, &length, &options.peek, &report->watcher, &err);
	if (text != NULL && (err.code == 0 || err.code == ERR_DAMAGED))
		say_lines(stdout, (const uint8_t *)text, length);
	free(text);
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
		   {NULL, brief_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = UINT_MAX,
};
