#include "archive/restore.h"

#include "base/changer.h"
#include "base/command.h"
#include "base/human.h"
#include "base/watcher.h"
#include "reader/input/input.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- before the first write ---- */

static int open_target(struct restore *restore, uint32_t i, struct error *err)
{
	const struct archive_drive *drive = &restore->opened.archive->drives[i];
	const char *path = restore->plan.drive_paths[i];
	char size[HUMAN_SIZE];
	uint64_t excess;
	char name[80];

	if (path == NULL)
		return 0;
	restore->how.format = restore->plan.suffixes[i].format;
	restore->how.image_options = restore->plan.suffixes[i].image;
	restore->how.n_image_options = restore->plan.suffixes[i].n_image;
	TRY(target_open(&restore->targets[i], path, drive->size_bytes, &restore->how, err));
	excess = target_excess(restore->targets[i]);
	if (excess > 0)
		watcher_note(
			restore->watcher,
			"drive %s: %s is %s (%llu bytes) larger than the drive; that rest is left "
			"unchanged",
			escape_text(name, sizeof(name), drive->name.bytes, drive->name.length),
			path, human_size(size, excess), (unsigned long long)excess);
	return 0;
}

static int find_parents(struct restore *restore, struct error *err)
{
	const struct restore_options *options = restore->options;

	if (options->parents.n == 0 && !archive_is_incremental(restore->opened.archive))
		return 0;
	if (strcmp(options->archive, "-") == 0 || command_of(options->archive) != NULL)
		return fail(err, ERR_USAGE,
			    "an incremental archive and its parents are restored from files, not "
			    "from standard input or a command");
	restore->chain.rate = options->rate;
	restore->chain.rollback = options->rollback || options->resume;
	return restore_chain_find(&restore->chain, &restore->opened, &options->parents,
				  &options->folders, err);
}

/* An archive holds clusters in any order. */
static int check_order(const struct restore *restore, struct error *err)
{
	const struct archive *archive = restore->opened.archive;
	bool has_index = archive->format == FORMAT_VMAB && input_size(restore->opened.input) != 0;

	if (restore->chain.chain.n > 0 && restore_plan_stream(&restore->plan) != archive->n_drives)
		return fail(err, ERR_USAGE,
			    "%s: a drive goes to standard output from a full archive only, and "
			    "this one is incremental: restore it to a file, or make it full with "
			    "'vmabak merge' first",
			    restore->opened.name);
	if (!has_index && restore_plan_stream(&restore->plan) != archive->n_drives)
		return fail(err, ERR_USAGE,
			    "%s: a drive goes to standard output from a full VMAB archive in a "
			    "file only, by its index: restore it to a file, or convert the "
			    "archive first",
			    restore->opened.name);
	return 0;
}

int restore_open(struct restore *out, const struct restore_options *options,
		 const struct watcher *watcher, struct error *err)
{
	const struct archive *archive;

	*out = (struct restore){
		.options = options,
		.watcher = watcher,
		.how = {.force = options->force,
			.rollback = options->rollback,
			.resume = options->resume,
			.sync = !options->no_sync},
	};
	TRY(restore_plan_options(options, err));
	TRY(archive_open(&out->opened, options->archive, options->rate, err));
	TRY(find_parents(out, err));
	archive = out->opened.archive;
	out->targets = calloc((size_t)archive->n_drives + 1, sizeof(*out->targets));
	out->created = calloc((size_t)archive->n_drives + archive->n_configs + 1, sizeof(char *));
	if (out->targets == NULL || out->created == NULL)
		return fail_memory(err);
	TRY(restore_plan_make(&out->plan, archive, options, watcher, err));
	return check_order(out, err);
}

static int check_parent(const struct restore *restore, const char *path, struct error *err)
{
	if (path == NULL || !chain_has_file(&restore->chain.chain, path))
		return 0;
	return fail(err, ERR_USAGE, "%s: is an archive of the chain", path);
}

/* None of the archives that are read may be overwritten. */
static int check_parents(const struct restore *restore, struct error *err)
{
	const struct archive *archive = restore->opened.archive;

	for (uint32_t i = 0; i < archive->n_drives; i++)
		TRY(check_parent(restore, restore->plan.drive_paths[i], err));
	for (uint32_t i = 0; i < archive->n_configs; i++)
		TRY(check_parent(restore, restore->plan.config_paths[i], err));
	return 0;
}

static int prepare(struct restore *restore, struct error *err)
{
	struct restore_plan *plan = &restore->plan;

	TRY(restore_plan_make_folder(plan, restore->options, err));
	TRY(restore_plan_check(plan, restore->options, err));
	TRY(check_parents(restore, err));
	restore_plan_rules(plan, restore->options->directory, NULL);
	if (restore->chain.chain.n > 0 || changer_may_change(restore->options->archive))
		sandbox_allow_reading(&plan->sandbox);
	for (uint32_t i = 0; i < restore->opened.archive->n_drives; i++)
		TRY(open_target(restore, i, err));
	return sandbox_enter(&plan->sandbox, err);
}

/* ---- from the first write on ---- */

static bool is_new(const char *path)
{
	struct stat found;

	return !target_is_stream(path) && lstat(path, &found) < 0;
}

static int put_configs(struct restore *restore, struct error *err)
{
	const struct archive *archive = restore->opened.archive;

	for (uint32_t i = 0; i < archive->n_configs; i++) {
		const char *path = restore->plan.config_paths[i];
		struct text data = archive->configs[i].data;
		bool new;

		if (path == NULL)
			continue;
		new = is_new(path);
		TRY(target_put_file(path, data.bytes, data.length, &restore->how, err));
		if (new)
			restore->created[restore->n_created++] = path;
	}
	return 0;
}

static int finish_targets(struct restore *restore, struct error *err)
{
	uint32_t n = restore->opened.archive->n_drives;

	for (uint32_t i = 0; i < n; i++) {
		if (restore->targets[i] != NULL)
			TRY(target_settle(restore->targets[i], err));
	}
	for (uint32_t i = 0; i < n; i++) {
		const char *path = restore->plan.drive_paths[i];
		bool new;

		if (path == NULL)
			continue;
		new = is_new(path);
		TRY(target_finish(restore->targets[i], err));
		if (new)
			restore->created[restore->n_created++] = path;
	}
	return 0;
}

static int write_drives(struct restore *restore, struct reader_job *job, struct error *err)
{
	struct target *stream = restore->targets[restore_plan_stream(&restore->plan)];

	if (restore->chain.chain.n > 0)
		return restore_chain_write(&restore->chain, &restore->opened, job->targets,
					   job->n_threads, job->counts, restore->watcher, err);
	if (stream == NULL)
		return reader_run(restore->opened.reader, job, err);
	/* An extent may come for several windows. */
	while ((job->n_clusters = target_window(stream, &job->begin)) > 0) {
		struct reader_counts part = {0};

		job->counts = &part;
		TRY(reader_run(restore->opened.reader, job, err));
		TRY(target_advance(stream, err));
		restore->counts.covered_bytes += job->n_clusters * CLUSTER_SIZE;
		restore->counts.read_bytes += part.read_bytes;
	}
	return 0;
}

static int write_all(struct restore *restore, struct error *err)
{
	struct reader_job job = {
		.n_threads = threads_wanted(restore->options->threads),
		.targets = restore->targets,
		.in = restore->opened.input,
		.seek_in = restore->opened.input,
		.counts = &restore->counts,
		.rollback = restore->options->rollback || restore->options->resume,
	};

	TRY(write_drives(restore, &job, err));
	TRY(put_configs(restore, err));
	return finish_targets(restore, err);
}

int restore_run(struct restore *restore, struct error *err)
{
	struct progress_view view;
	uint32_t stream;
	int code;

	TRY(prepare(restore, err));
	if (restore->chain.chain.n > 0) /* which shows its own progress, archive by archive */
		return write_all(restore, err);
	view = archive_view(&restore->opened, &restore->counts);
	view.drives_bytes = restore_drive_bytes(restore);
	stream = restore_plan_stream(&restore->plan);
	if (stream != restore->opened.archive->n_drives) {
		/* Holes are written, too. */
		view.done_bytes = &restore->counts.covered_bytes;
		view.total_bytes = view.drives_bytes;
		restore->counts.drive = stream;
	}
	watcher_begin(restore->watcher, &view);
	code = write_all(restore, err);
	watcher_end(restore->watcher, code == 0);
	return code;
}

uint64_t restore_drive_bytes(const struct restore *restore)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < restore->opened.archive->n_drives; i++) {
		if (restore->plan.drive_paths[i] != NULL)
			bytes += restore->opened.archive->drives[i].size_bytes;
	}
	return bytes;
}

uint64_t restore_written_bytes(const struct restore *restore)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < restore->opened.archive->n_drives; i++)
		if (restore->targets[i] != NULL)
			bytes += target_written(restore->targets[i]);
	return bytes;
}

uint64_t restore_archive_bytes(const struct restore *restore)
{
	return restore->counts.read_bytes;
}

void restore_close(struct restore *restore, bool done)
{
	uint32_t n = restore->opened.archive == NULL ? 0 : restore->opened.archive->n_drives;

	for (uint32_t i = 0; restore->targets != NULL && i < n; i++)
		target_close(restore->targets[i]);
	for (size_t i = 0; !done && i < restore->n_created; i++)
		unlink(restore->created[i]);
	free(restore->targets);
	free(restore->created);
	restore_chain_free(&restore->chain);
	restore_plan_close(&restore->plan, done);
	archive_close(&restore->opened);
}
