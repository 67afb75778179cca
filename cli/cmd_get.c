#include "base/human.h"
#include "base/io.h"
#include "base/json.h"
#include "base/newfile.h"
#include "base/watcher.h"
#include "cli/groups.h"
#include "cli/signals.h"
#include "device/peek.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct get_options {
	struct common_options common;
	struct peek_options peek;
	const char *output, *folder;
	bool recursive, force, no_sync;
};

static const struct get_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"recursive", 'r', OPTION_FLAG, OPTION_FIELD(get_options, recursive),
	 .help = "get a folder, with all that is below it"},
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
	if (options->recursive &&
	    (options->force || (options->output != NULL && strcmp(options->output, "-") == 0)))
		return fail(err, ERR_USAGE,
			    "--recursive makes a new folder: without --force and "
			    "-o -");
	if (name == NULL && (!options->recursive || options->output == NULL))
		return fail(err, ERR_USAGE, "%.500s: names no %s", options->peek.place,
			    options->recursive
				    ? "folder that could be called the same: -o DIR gives a name"
				    : "file: DRIVE[:PARTITION]:/PATH");
	if (options->output != NULL)
		n = snprintf(out, PATH_MAX, "%s", options->output);
	else
		n = snprintf(out, PATH_MAX, "%s/%s",
			     options->folder != NULL ? options->folder : ".", name);
	return n < PATH_MAX ? 0 : fail_system(err, ENAMETOOLONG, "%.300s", out);
}

/* Of a file; NULL: nothing is lost. */
static const char *what_is_lost(const struct peek_result *result)
{
	if (!result->keeps_owners)
		return "owner, mode and times are not kept";
	return result->n_owners_lost != 0 ? "mode and time are kept, but not the owner: this user "
					    "may not set it"
					  : "with owner, mode and time";
}

/* path: of the file or folder that was made; NULL: standard output. */
static void put_json(const struct get_options *options, const char *path,
		     const struct peek_result *result, struct report *report)
{
	struct json_t *object = report->result;

	json_put_text(object, "archive", options->common.arguments.items[0]);
	json_put_text(object, "place", options->peek.place);
	json_put_text(object, "target", path);
	json_put_text(object, "program", result->program);
	json_put_bool(object, "keeps_owners", result->keeps_owners);
	json_put_number(object, "lost_owners", result->n_owners_lost);
	if (!options->recursive)
		return;
	json_put_number(object, "n_files", result->n_files);
	json_put_number(object, "n_folders", result->n_folders);
	json_put_number(object, "n_links", result->n_links);
	json_put_number(object, "n_left_out", result->n_left);
	json_put_number(object, "size_bytes", result->bytes);
}

static int get_file(const struct get_options *options, const char *path, struct report *report,
		    struct error *err)
{
	struct newfile *file;
	struct stat found;
	struct peek_result result;
	char size[HUMAN_SIZE];
	int fd, code;

	if (!options->force && access(path, F_OK) == 0)
		return fail(err, ERR_USAGE, "%s: exists already; --force replaces it", path);
	TRY(newfile_create(&file, &fd, path, err));
	code = peek_get(fd, &result, &options->peek, &report->watcher, err);
	if (code == 0 && !options->no_sync && fsync(fd) != 0)
		code = fail_system(err, errno, "%s", path);
	if (code == 0 && fstat(fd, &found) != 0)
		code = fail_system(err, errno, "%s", path);
	if (close(fd) != 0 && code == 0)
		code = fail_system(err, errno, "%s", path);
	if (code == 0)
		code = newfile_publish(file, options->force, !options->no_sync, err);
	newfile_free(file);
	if (code != 0)
		return code;
	put_json(options, path, &result, report);
	json_put_number(report->result, "size_bytes", (uint64_t)found.st_size);
	report_done(report, path, "%s, read by %s; %s", human_size(size, (uint64_t)found.st_size),
		    result.program, what_is_lost(&result));
	return 0;
}

static int get_stream(const struct get_options *options, struct report *report, struct error *err)
{
	struct peek_result result;
	int sys;

	TRY(peek_get(STDOUT_FILENO, &result, &options->peek, &report->watcher, err));
	sys = options->no_sync ? 0 : io_sync(STDOUT_FILENO);
	if (sys != 0)
		return fail_system(err, sys, "standard output: syncing");
	put_json(options, NULL, &result, report);
	return 0;
}

/* What could not be read is told; the rest is there. */
static int get_folder(const struct get_options *options, const char *path, struct report *report,
		      struct error *err)
{
	struct peek_result result;
	char size[HUMAN_SIZE], lost[80] = "with owners, modes and times";
	int code = peek_get_folder(path, !options->no_sync, &result, &options->peek,
				   &report->watcher, err);

	if (result.n_folders == 0 || (code != 0 && code != ERR_DAMAGED))
		return code;
	if (!result.keeps_owners)
		snprintf(lost, sizeof(lost),
			 "times of files are kept, but no owners, modes and links");
	else if (result.n_owners_lost != 0)
		snprintf(lost, sizeof(lost),
			 "with modes and times, but this user may not set owners");
	report_done(report, path,
		    "%" PRIu64 " files, %" PRIu64 " links, %" PRIu64 " folders, %s, "
		    "read by %s; %s",
		    result.n_files, result.n_links, result.n_folders,
		    human_size(size, result.bytes), result.program, lost);
	if (result.n_failed != 0 && code == 0)
		return fail(err, ERR_SYSTEM,
			    "%.500s: is not whole: of %" PRIu64 " what the messages "
			    "before this say",
			    path, result.n_failed);
	if (code == 0)
		put_json(options, path, &result, report);
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
	options.peek.streams = options.output != NULL && strcmp(options.output, "-") == 0;
	if (options.peek.streams && report->json) /* which goes elsewhere */
		report_use(report, &options.common.report, "-");
	if (!signals_taken())
		fail_start(&err, EAGAIN, "cannot start a thread");
	else if (make_path(path, &options, &err) != 0)
		;
	else if (options.recursive)
		get_folder(&options, path, report, &err);
	else if (options.peek.streams)
		get_stream(&options, report, &err);
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
	.summary = "get a file or folder out of a drive of an archive",
	.help = "Get the file PATH, which begins with /, out of a file system on a drive of an\n"
		"archive, or of the newest instant of a chain; with --recursive, a folder.\n"
		"Nothing else is restored. A file is there whole or not at all. ext2 to ext4 are\n"
		"read by debugfs, with owners, modes and times, and others by grub-fstest, of\n"
		"GRUB, without, through a FUSE mount that lasts as long as the command.\n"
		"\n"
		"Example:\n"
		"  vmabak get web.vmab root:gpt1:/etc/fstab\n"
		"  vmabak get web.vmab root:/etc/fstab -o -\n"
		"  vmabak get -r web.vmab root:gpt1:/etc -C found\n",
	.run = run,
	.groups = {{"Options", specs, 0},
		   {NULL, result_specs, 0},
		   {NULL, brief_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 2,
	.max_arguments = UINT_MAX,
};
