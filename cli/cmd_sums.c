#include "archive/sums_make.h"
#include "base/human.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/sandbox.h"
#include "cli/groups.h"
#include "cli/progress.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

struct sums_options {
	struct common_options common;
	const char *output; /* NULL: the newest archive's name and .sums */
	struct strings folders;
	bool force, no_sync;
};

static const struct sums_options defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"output", 'o', OPTION_TEXT, OPTION_FIELD(sums_options, output), .argument = "FILE",
	 .help = "write the sums to FILE (default: ARCHIVE.sums)"},
	{"force", 0, OPTION_FLAG, OPTION_FIELD(sums_options, force),
	 .help = "replace an existing file"},
	OPTION_PARENTS(sums_options, folders),
	OPTION_NO_SYNC(sums_options, no_sync, "do not wait until the file is on disk"),
	OPTIONS_END,
};

static int check_output(const struct sums_options *options, const char *path, struct error *err)
{
	return options->force || access(path, F_OK) != 0
		       ? 0
		       : fail(err, ERR_USAGE, "%s: exists already; --force replaces it", path);
}

/* Only the sums can be written from here on: archives are untrusted. */
static int confine(const char *path, struct error *err)
{
	struct sandbox sandbox;

	sandbox_begin(&sandbox);
	sandbox_allow_reading(&sandbox);
	sandbox_allow_file(&sandbox, path);
	return sandbox_enter(&sandbox, err);
}

static int make(const struct sums_options *options, const struct chain *chain, const char *path,
		uint64_t *n_data, const struct watcher *watcher, struct error *err)
{
	struct sums_writer *writer = NULL;
	int code;

	if (chain_has_file(chain, path))
		return fail(err, ERR_USAGE, "%s: is an archive of the chain", path);
	TRY(check_output(options, path, err));
	TRY(confine(path, err));
	code = sums_make(&writer, &(struct sums_place){.path = path}, chain, n_data, watcher, err);
	if (code == 0)
		code = sums_finish(writer, !options->no_sync, err);
	if (code == 0)
		code = sums_publish(writer, options->force, !options->no_sync, err);
	sums_writer_free(writer);
	return code;
}

static void tell(const struct chain *chain, const char *path, uint64_t n_data,
		 struct report *report)
{
	char uuid[UUID_TEXT_SIZE], size[HUMAN_SIZE];

	if (report->result != NULL) {
		json_put_text(report->result, "archive", chain->links[0].path);
		json_put_text(report->result, "uuid", format_uuid(uuid, chain->links[0].uuid));
		json_put_text(report->result, "sums", path);
		json_put_number(report->result, "n_archives", chain->n);
		json_put_number(report->result, "data_clusters", n_data);
		json_put_real(report->result, "duration_s", progress_seconds());
		return;
	}
	report_done(report, path, "checksums of %s of data, from %u archive%s",
		    human_size(size, n_data * CLUSTER_SIZE), chain->n, chain->n == 1 ? "" : "s");
}

static int run(const void *given, struct report *report)
{
	const struct sums_options *options = given;
	const struct strings *arguments = &options->common.arguments;
	const struct strings parents = {arguments->items + 1, arguments->n - 1};
	struct error err = {0};
	struct chain chain = {0};
	struct strings names;
	uint64_t n_data = 0;
	char *path = NULL;
	int code = 0;

	if (!strings_join(&names, arguments->items[0], &parents, &options->folders))
		code = fail_memory(&err);
	if (code == 0)
		code = chain_find(&chain, &names, &err);
	if (code == 0) {
		path = options->output != NULL ? text_make("%s", options->output)
					       : text_make("%s.sums", chain.links[0].path);
		code = path == NULL ? fail_memory(&err)
				    : make(options, &chain, path, &n_data, &report->watcher, &err);
	}
	if (code == 0)
		tell(&chain, path, n_data, report);
	else
		code = report_error(report, NULL, &err);
	chain_free(&chain);
	free(names.items);
	free(path);
	return code;
}

const struct command command_sums = {
	.name = "sums",
	.usage = "ARCHIVE... [-o FILE] [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "write the checksums of an archive's drives to a file",
	.help = "Write a sums file: the checksum of every 64 KiB of the drives as ARCHIVE has\n"
		"them, 16 bytes each, without their data. 'backup --parent' and 'diff' take such\n"
		"files where the archives themselves are on tape or in an object store. The\n"
		"parents of an incremental archive are found in its folder, or given after it.\n"
		"\n"
		"Example:\n"
		"  vmabak sums web.vmab\n",
	.run = run,
	.groups = {{"Options", specs, 0},
		   {NULL, common_specs, 0},
		   {NULL, tape_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = UINT_MAX,
};
