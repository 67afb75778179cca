#include "base/human.h"
#include "base/newfile.h"
#include "base/watcher.h"
#include "cli/groups.h"
#include "cli/signals.h"
#include "device/peek.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct get_options {
	struct common_options common;
	struct peek_options peek;
	const char *output, *folder;
	bool force, no_sync;
};

static const struct get_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"output", 'o', OPTION_TEXT, OPTION_FIELD(get_options, output), .argument = "FILE",
	 .help = "write it to FILE, - for standard output (default: its own name)"},
	{"directory", 'C', OPTION_TEXT, OPTION_FIELD(get_options, folder), .argument = "DIR",
	 .help = "put it into this folder, under its own name (default: .)"},
	{"force", 0, OPTION_FLAG, OPTION_FIELD(get_options, force),
	 .help = "replace an existing file"},
	{"max-size", 0, OPTION_SIZE, OPTION_FIELD(get_options, peek.most_bytes), .argument = "SIZE",
	 .min = 1, .max = INT64_MAX,
	 .help = "give up on a longer file (default: the size of the drive)"},
	OPTION_PARENTS(get_options, peek.view.folders),
	OPTION_NO_SYNC(get_options, no_sync, "do not wait until the file is on disk"),
	OPTIONS_END,
};

static int make_path(char out[PATH_MAX], const struct get_options *options, struct error *err)
{
	const char *name = peek_file_name(options->peek.place);
	int n;

	if (options->output != NULL && options->folder != NULL)
		return fail(err, ERR_USAGE, "--output and --directory exclude each other");
	if (name == NULL)
		return fail(err, ERR_USAGE, "%.500s: names no file: DRIVE[:PARTITION]:/PATH",
			    options->peek.place);
	if (options->output != NULL)
		n = snprintf(out, PATH_MAX, "%s", options->output);
	else
		n = snprintf(out, PATH_MAX, "%s/%s",
			     options->folder != NULL ? options->folder : ".", name);
	return n < PATH_MAX ? 0 : fail_system(err, ENAMETOOLONG, "%.300s", out);
}

static int get_file(const struct get_options *options, const char *path, struct report *report,
		    struct error *err)
{
	struct newfile *file;
	struct stat found;
	char size[HUMAN_SIZE];
	int fd, code;

	if (!options->force && access(path, F_OK) == 0)
		return fail(err, ERR_USAGE, "%s: exists already; --force replaces it", path);
	TRY(newfile_create(&file, &fd, path, err));
	code = peek_get(fd, &options->peek, &report->watcher, err);
	if (code == 0 && !options->no_sync && fsync(fd) != 0)
		code = fail_system(err, errno, "%s", path);
	if (code == 0 && fstat(fd, &found) != 0)
		code = fail_system(err, errno, "%s", path);
	if (close(fd) != 0 && code == 0)
		code = fail_system(err, errno, "%s", path);
	if (code == 0)
		code = newfile_publish(file, options->force, !options->no_sync, err);
	newfile_free(file);
	if (code == 0)
		report_done(report, path,
			    "%s, read by grub-fstest; owner, mode and times are not kept",
			    human_size(size, (uint64_t)found.st_size));
	return code;
}

static int run(const void *given, struct report *report)
{
	struct get_options options = *(const struct get_options *)given;
	struct strings *arguments = &options.common.arguments;
	struct error err = {0};
	char path[PATH_MAX];

	options.peek.place = arguments->items[arguments->n - 1];
	options.peek.view.archives = (struct strings){arguments->items, arguments->n - 1};
	if (!signals_taken())
		fail_start(&err, EAGAIN, "cannot start a thread");
	else if (make_path(path, &options, &err) != 0)
		;
	else if (strcmp(path, "-") == 0)
		peek_get(STDOUT_FILENO, &options.peek, &report->watcher, &err);
	else
		get_file(&options, path, report, &err);
	return err.code == 0
		       ? EXIT_DONE
		       : report_error(report, err.has_place ? arguments->items[0] : NULL, &err);
}

const struct command command_get = {
	.name = "get",
	.usage = "ARCHIVE... DRIVE[:PARTITION]:PATH [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "get one file out of a drive of an archive",
	.help = "Get the file PATH, which begins with /, out of a file system on a drive of an\n"
		"archive, or of the newest instant of a chain. Nothing else is restored. It is\n"
		"there whole or not at all. The file system is read by grub-fstest, of GRUB,\n"
		"through a FUSE mount that lasts as long as the command; the file's owner, mode\n"
		"and times are not kept, and links are followed within the file system.\n"
		"\n"
		"Example:\n"
		"  vmabak get web.vmab root:gpt1:/etc/fstab\n"
		"  vmabak get web.vmab root:/etc/fstab -o -\n",
	.run = run,
	.groups = {{"Options", specs, 0}, {NULL, brief_specs, 0}, {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = UINT_MAX,
};
