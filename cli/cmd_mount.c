#include "base/child.h"
#include "base/json.h"
#include "cli/groups.h"
#include "cli/memory.h"
#include "cli/mounting.h"
#include "cli/ready.h"
#include "cli/report.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "device/mounted.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct mount_command {
	struct common_options common;
	struct mounted_options mount;
	bool foreground;
};

static const struct mount_command defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"overlay", 0, OPTION_TEXT, OPTION_FIELD(mounted_options, overlay), .argument = "FILE",
	 .help = "drives may be written: that goes to FILE, or with 'memory' is not kept"},
	OPTION_CACHE(mounted_options, view.cache_bytes),
	{"cache-file", 0, OPTION_TEXT, OPTION_FIELD(mounted_options, view.cache_file),
	 .argument = "FILE",
	 .help = "keep there what is read of an archive that can be read only in order"},
	OPTION_PARENTS(mounted_options, view.folders),
	OPTIONS_END,
};

static const struct option_spec way_specs[] = {
	{"foreground", 0, OPTION_FLAG, OPTION_FIELD(mount_command, foreground),
	 .help = "do not return before it is unmounted"},
	OPTIONS_END,
};

/* The one that started this process waits for a word, and for the end of its standard output; it
 * may have ended meanwhile, which is no reason to end here. */
static void tell_ready(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct stat out;

	if (fstat(STDOUT_FILENO, &out) == 0 && S_ISFIFO(out.st_mode))
		say_now(STDOUT_FILENO, "mounted\n");
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		close(fd);
	}
	ready_notify();
}

static void add_list(const char **arguments, unsigned *n, const struct strings *list,
		     const char *option)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (option != NULL)
			arguments[(*n)++] = option;
		arguments[(*n)++] = list->items[i];
	}
}

/* Nothing, if it has no value. */
static void add_option(const char **arguments, unsigned *n, const char *option, const char *value)
{
	if (value == NULL)
		return;
	arguments[(*n)++] = option;
	arguments[(*n)++] = value;
}

/* The command line of this command, as it would be in the foreground. Owned, but for its texts. */
static const char **make_arguments(const struct mount_command *command, const char *cache)
{
	const struct view_options *view = &command->mount.view;
	const char **arguments =
		memory_new(view->folders.n * 2 + view->archives.n + 15, sizeof(*arguments));
	unsigned n = 0;

	arguments[n++] = "vmabak";
	arguments[n++] = "mount";
	arguments[n++] = "--foreground";
	if (command->common.report.quiet)
		arguments[n++] = "--quiet";
	if (view->cache_bytes != 0)
		add_option(arguments, &n, "--cache", cache);
	add_option(arguments, &n, "--cache-file", view->cache_file);
	add_option(arguments, &n, "--overlay", command->mount.overlay);
	add_list(arguments, &n, &view->folders, "--parents");
	add_option(arguments, &n, "--s3-endpoint", command->common.s3_endpoint);
	arguments[n++] = "--";
	add_list(arguments, &n, &view->archives, NULL);
	arguments[n] = command->mount.folder;
	return arguments;
}

static int check_secrets(const struct strings *archives, struct error *err)
{
	for (unsigned i = 0; i < archives->n; i++)
		if (store_has_secrets(archives->items[i]))
			return fail(err, ERR_USAGE,
				    "%.300s: a user, password or query of a URL cannot be handed "
				    "on to another process: add --foreground, or use ~/.netrc",
				    archives->items[i]);
	return 0;
}

static void put_json(const struct mount_command *command, struct report *report)
{
	json_put_text(report->result, "archive", command->mount.view.archives.items[0]);
	json_put_text(report->result, "folder", command->mount.folder);
}

/* Another process serves it. */
static int run_in_background(const struct mount_command *command, struct report *report)
{
	const char **arguments;
	struct child child = CHILD_NONE;
	struct child_options how = {.program = "/proc/self/exe",
				    .out = CHILD_PIPE,
				    .err = CHILD_PIPE,
				    .session = true,
				    .secrets = true};
	struct error err = {0};
	char cache[30];
	int code;

	if (check_secrets(&command->mount.view.archives, &err) != 0)
		return report_error(report, NULL, &err);
	snprintf(cache, sizeof(cache), "%llu", (unsigned long long)command->mount.view.cache_bytes);
	how.argv = arguments = make_arguments(command, cache);
	if (child_start(&child, &how, &err) != 0)
		code = report_error(report, NULL, &err);
	else
		code = mounting_await(&child, report);
	if (code == EXIT_DONE)
		put_json(command, report);
	child_release(&child);
	free(arguments);
	return code;
}

static int run(const void *given, struct report *report)
{
	struct mount_command command = *(const struct mount_command *)given;
	struct strings *arguments = &command.common.arguments;
	struct error err = {0};

	command.mount.folder = arguments->items[arguments->n - 1];
	command.mount.view.archives = (struct strings){arguments->items, arguments->n - 1};
	if (!command.foreground)
		return run_in_background(&command, report);
	if (!signals_taken())
		fail_start(&err, EAGAIN, "cannot start a thread");
	else
		mounted_run(&command.mount, &report->watcher,
			    report->json ? ready_notify : tell_ready, &err);
	if (err.code == 0)
		put_json(&command, report);
	return err.code == 0
		       ? EXIT_DONE
		       : report_error(report,
				      err.has_place ? command.mount.view.archives.items[0] : NULL,
				      &err);
}

const struct command command_mount = {
	.name = "mount",
	.usage = "ARCHIVE... DIR [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "show the drives of an archive as files, without restoring it",
	.help = "Mount an archive on the folder DIR, by FUSE: each drive is a file NAME.raw that\n"
		"can only be read, but with --overlay, each config a file of its name. Only what\n"
		"is read is decoded, and every checksum is verified before its data is handed\n"
		"out. The parents of an incremental archive are found in its folder, or given\n"
		"after it. It lasts until umount DIR or fusermount3 -u DIR, also for ordinary\n"
		"users.\n"
		"\n"
		"Example:\n"
		"  vmabak mount web.vmab mnt\n"
		"  losetup --show -frP mnt/root.raw\n"
		"  fusermount3 -u mnt\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct mount_command, mount)},
		   {NULL, way_specs, 0},
		   {NULL, result_specs, 0},
		   {NULL, brief_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = UINT_MAX,
};
