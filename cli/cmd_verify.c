#include "cli/command.h"
#include "base/human.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/groups.h"
#include "cli/progress.h"
#include "archive/verify.h"
#include "archive/verify_chain.h"
#include "base/sandbox.h"
#include "cli/say.h"

#include "reader/input/input.h"
#include "reader/reader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct verify_command {
	struct common_options common;
	struct verify_options verify;
};

static const struct verify_command defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"quick", 0, OPTION_FLAG, OPTION_FIELD(verify_options, quick),
	 .help = "verify stored payloads without decompressing them"},
	{"chain", 0, OPTION_FLAG, OPTION_FIELD(verify_options, chain),
	 .help = "verify an incremental archive and its parents, and that together they are whole"},
	OPTION_PARENTS(verify_options, folders),
	OPTION_THREADS(verify_options, threads),
	OPTION_READ_RATE(verify_options, rate),
	OPTIONS_END,
};

static const char *proof(const struct archive *archive, bool quick)
{
	if (archive->cluster_checksum == CLUSTER_UNPROTECTED)
		return "complete, but its data has no checksums";
	/* Checksums of stored data exist in VMAB alone; VMA is read in full. */
	if (quick && archive->format == FORMAT_VMAB)
		return "every stored checksum matches";
	return "every checksum matches";
}

static void put_json(const struct opened_archive *opened, const struct verify_options *options,
		     struct json_t *one)
{
	const struct archive *archive = opened->archive;
	const struct totals *totals = reader_totals(opened->reader);
	char uuid[UUID_TEXT_SIZE];

	json_put_text(one, "format", archive_format_name(archive));
	json_put_text(one, "uuid", format_uuid(uuid, archive->uuid));
	json_put_bool(one, "quick", options->quick);
	json_put_bool(one, "data_checksums", archive->cluster_checksum != CLUSTER_UNPROTECTED);
	json_put_bool(one, "incremental", archive_is_incremental(archive));
	json_put_number(one, "n_drives", archive->n_drives);
	json_put_number(one, "n_configs", archive->n_configs);
	json_put_number(one, "drives_bytes", archive_drive_bytes(archive));
	json_put_number(one, "data_bytes", totals->raw_size);
	json_put_number(one, "archive_bytes", input_position(opened->input));
	json_put_number(one, "data_clusters", totals->n_data);
	json_put_number(one, "zero_clusters", totals->n_zero);
	json_put_real(one, "duration_s", progress_seconds());
}

static void print_result(const struct opened_archive *opened, const struct verify_options *options)
{
	const struct archive *archive = opened->archive;
	const char *kind =
		options->chain ? "incremental, " : "incremental (its parents are not checked), ";
	char data[HUMAN_SIZE];

	say(stdout, "%s: ok, %s: %s%s of data, %u drive%s\n", opened->name,
	    proof(archive, options->quick), archive_is_incremental(archive) ? kind : "",
	    human_size(data, reader_totals(opened->reader)->raw_size), archive->n_drives,
	    archive->n_drives == 1 ? "" : "s");
}

/* Of several archives, so that standard output alone names all of them. */
static const char *verdict(const struct error *err)
{
	return err->code == ERR_DAMAGED || err->code == ERR_INCOMPLETE ? "DAMAGED" : "not verified";
}

/* chain: NULL, or what the archive is a link of. */
static int verify_one(const struct verify_options *options, struct report *report, unsigned part,
		      struct json_t *archives, struct verify_chain *chain)
{
	struct json_t *one = json_add_object(archives);
	struct opened_archive opened;
	struct error err = {0};
	int code = EXIT_DONE;
	int found = chain == NULL ? archive_open_next(&opened, &options->archives, part,
						      options->rate, &err)
				  : chain_open(&opened, &chain->chain, part, options->rate, &err);
	bool ok = found == 0 && verify_run(&opened, options, part, &report->watcher, &err) == 0 &&
		  (chain == NULL || verify_chain_add(chain, &opened, &err) == 0);

	json_put_text(one, "archive", opened.name);
	json_put_bool(one, "ok", ok);
	if (ok)
		put_json(&opened, options, one);
	else
		json_put(one, "error", report_error_object(report, &err));
	if (ok && !report->json && !report->options.quiet)
		print_result(&opened, options);
	if (!ok && !report->json && !report->options.quiet && options->archives.n > 1)
		say(stdout, "%s: %s\n", opened.name, verdict(&err));
	if (!ok)
		code = report_error_line(report, opened.name, &err);
	/* Even into a file, a line is out before the next archive is begun. */
	if (!report->json)
		report_flush(report);
	archive_close(&opened);
	return code;
}

static int tell_chain(const struct verify_chain *chain, bool links_ok, struct report *report)
{
	struct json_t *object = json_put_object(report->result, "chain");
	const struct archive *archive = chain->newest.archive;
	struct error err = {0};
	char size[HUMAN_SIZE], when[HUMAN_SIZE];
	int64_t since_ns;
	/* What damaged links lack is not known. */
	bool can_tell = links_ok || chain->missing.code != 0;
	bool ok = can_tell && verify_chain_end(chain, &err) == 0;
	bool proved = ok && proved_since(&chain->proved, &since_ns);

	json_put_bool(object, "ok", ok);
	json_put_number(object, "n_archives", chain->chain.n);
	json_put_text(object, "proved_since", proved ? human_time(when, since_ns) : NULL);
	if (err.code != 0)
		json_put(object, "error", report_error_object(report, &err));
	if (err.code != 0)
		return report_error_line(report, NULL, &err);
	if (ok && !report->json && !report->options.quiet)
		say(stdout, "%s: ok, complete in %u archive%s: %u drive%s of %s%s%s\n",
		    chain->newest.name, chain->chain.n, chain->chain.n == 1 ? "" : "s",
		    archive->n_drives, archive->n_drives == 1 ? "" : "s",
		    human_size(size, archive_drive_bytes(archive)), proved ? ", proved since " : "",
		    proved ? human_local_time(when, since_ns) : "");
	return EXIT_DONE;
}

/* Links that are damaged do not keep it from looking at the others. */
static int run_chain(struct verify_options *options, struct report *report)
{
	const struct strings *given = &options->archives;
	struct strings parents = {given->items + 1, given->n - 1}, names;
	struct verify_chain chain = {0};
	struct json_t *archives;
	struct error err = {0};
	int code = EXIT_DONE;

	if (!strings_join(&names, given->items[0], &parents, &options->folders))
		fail_memory(&err);
	if (err.code != 0 || sandbox_enter_reading(NULL, &err) < 0 ||
	    verify_chain_open(&chain, &names, &err) < 0) {
		code = report_error(report, options->archives.items[0], &err);
	} else {
		archives = json_put_array(report->result, "archives");
		options->archives.n = chain.chain.n;
		for (unsigned i = 0; i < chain.chain.n; i++)
			code = exit_code_worse(code,
					       verify_one(options, report, i, archives, &chain));
		code = exit_code_worse(code, tell_chain(&chain, code == EXIT_DONE, report));
	}
	verify_chain_close(&chain);
	free(names.items);
	return code;
}

static int run(const void *given, struct report *report)
{
	const struct verify_command *command = given;
	struct verify_options options = command->verify;
	struct json_t *archives;
	struct error err = {0};
	int code = EXIT_DONE;

	options.archives = command->common.arguments;
	if (options.chain)
		return run_chain(&options, report);
	if (archive_check_names(&options.archives, &err) < 0)
		return report_error(report, NULL, &err);
	archives = json_put_array(report->result, "archives");
	for (unsigned i = 0; i < options.archives.n; i++)
		code = exit_code_worse(code, verify_one(&options, report, i, archives, NULL));
	return code;
}

const struct command command_verify = {
	.name = "verify",
	.usage = "[--quick] [--chain] ARCHIVE... [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "prove that archives are complete and intact",
	.help = "Read archives to their end and prove that they are complete and intact: every\n"
		"checksum, every cluster exactly once, the end. VMA archives of other tools\n"
		"have no checksums of their data, which the result shows. - is standard input.\n"
		"With --chain the parents of an incremental archive, found in its folder or\n"
		"given after it, are verified too, and that every cluster is in one of them.\n"
		"\n"
		"Example:\n"
		"  vmabak verify /backup/*.vmab\n"
		"  vmabak verify --chain friday.vmab\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct verify_command, verify)},
		   {NULL, common_specs, 0},
		   {NULL, tape_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = UINT_MAX,
};
