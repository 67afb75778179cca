#include "archive/sink.h"

#include "base/human.h"
#include "base/json.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "archive/source.h"

#include "base/place.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Judges what is there under the name. *by_name: it is, or will be, a file whose name tells the
 * format; a tape or a pipe has a name that tells nothing. */
static int check_name(const char *name, bool force, bool *by_name, struct error *err)
{
	struct stat found;

	*by_name = true;
	if (strcmp(name, "-") == 0) {
		*by_name = false;
		if (isatty(STDOUT_FILENO))
			return fail(err, ERR_USAGE,
				    "standard output is a terminal, where no archive can go: "
				    "give -o ARCHIVE");
		return 0;
	}
	if (stat(name, &found) < 0)
		return place_check(name, err);
	*by_name = S_ISREG(found.st_mode);
	if (S_ISDIR(found.st_mode))
		return fail(err, ERR_USAGE, "%s: is a folder, not an archive", name);
	if (S_ISREG(found.st_mode) && !force)
		return fail(err, ERR_USAGE, "%s: exists already; --force replaces it", name);
	if (S_ISBLK(found.st_mode))
		return fail(err, ERR_USAGE,
			    "%s: is a block device: an archive goes to a file, a pipe or a tape",
			    name);
	return 0;
}

int sink_prepare(struct sink *out, const struct options *options, struct error *err)
{
	const char *name = options->output;
	bool by_name;

	memset(out, 0, sizeof(*out));
	out->name = name;
	if (*name == '\0')
		return fail(err, ERR_USAGE, "-o: the name of an archive must not be empty");
	if (options->record_size % SECTOR_SIZE != 0)
		return fail(err, ERR_USAGE, "--record-size %llu: must be a multiple of %u",
			    (unsigned long long)options->record_size, SECTOR_SIZE);
	if (check_name(name, options->force, &by_name, err) < 0 || progress_check(options, err) < 0)
		return err->code;
	return sink_plan(&out->plan, name, by_name, options, err);
}

bool sink_is(const struct sink *sink, const struct stat *file)
{
	struct stat own;
	int result =
		strcmp(sink->name, "-") == 0 ? fstat(STDOUT_FILENO, &own) : stat(sink->name, &own);

	if (result < 0)
		return false;
	return S_ISREG(own.st_mode) && own.st_dev == file->st_dev && own.st_ino == file->st_ino;
}

int sink_open(struct sink *sink, const struct archive *archive, const struct options *options,
	      struct error *err)
{
	struct output_options to = {
		.force = options->force,
		.sync = !options->no_sync,
		.record_size = (uint32_t)options->record_size,
		.no_padding = sink->plan.wrap != WRAP_NONE,
		.bytes_per_s = options->rate,
	};
	struct writer_options how = {
		.level = sink->plan.level,
		.wrap = sink->plan.wrap,
		.counts = &sink->counts,
	};

	/* An archive that cannot be written must not leave even an empty file. */
	if (archive_check(archive, err) < 0 || output_open(&sink->output, sink->name, &to, err) < 0)
		return err->code;
	return writer_open(&sink->writer, archive, sink->output, &how, err);
}

int sink_run(struct sink *sink, const struct feed *feed, const struct options *options,
	     struct error *err)
{
	return writer_run(sink->writer, feed, threads_wanted(options), err);
}

int sink_finish(struct sink *sink, struct error *err)
{
	if (writer_finish(sink->writer, err) < 0)
		return err->code;
	return output_finish(sink->output, err);
}

void sink_close(struct sink *sink)
{
	if (sink->writer != NULL)
		writer_free(sink->writer);
	output_close(sink->output);
	sink->writer = NULL;
	sink->output = NULL;
}

static void put_summary(const struct sink *sink, const struct archive *archive, double seconds,
			struct json_t *result)
{
	const struct totals *totals = writer_totals(sink->writer);
	char text[UUID_TEXT_SIZE];

	json_put_text(result, "archive", sink->name);
	json_put_text(result, "format", archive_format_name(archive));
	json_put_text(result, "uuid", format_uuid(text, archive->uuid));
	json_put_number(result, "n_drives", archive->n_drives);
	json_put_number(result, "n_configs", archive->n_configs);
	json_put_number(result, "drives_bytes", archive_drive_bytes(archive));
	json_put_number(result, "data_bytes", totals->raw_size);
	json_put_number(result, "written_bytes", atomic_load(&sink->counts.written_bytes));
	json_put_number(result, "data_clusters", totals->n_data);
	json_put_number(result, "zero_clusters", totals->n_zero);
	json_put_real(result, "duration_s", seconds);
}

void sink_summary(const struct sink *sink, const struct archive *archive, struct report *report)
{
	uint64_t data = writer_totals(sink->writer)->raw_size;
	uint64_t written = atomic_load(&sink->counts.written_bytes);
	uint64_t all = archive_drive_bytes(archive);
	double seconds = progress_seconds();
	char sizes[5][HUMAN_SIZE], ratio[HUMAN_SIZE] = "";

	put_summary(sink, archive, seconds, report->result);
	if (report->result != NULL)
		return;
	if (data > 0 && written > 0)
		snprintf(ratio, sizeof(ratio), " (ratio %.1f)", (double)data / (double)written);
	report_note(report, "%s: %u drive%s, %s, %s data, %s written%s in %s, %s/s",
		    strcmp(sink->name, "-") == 0 ? "standard output" : sink->name,
		    archive->n_drives, archive->n_drives == 1 ? "" : "s", human_size(sizes[0], all),
		    human_size(sizes[1], data), human_size(sizes[2], written), ratio,
		    human_duration(sizes[3], seconds),
		    human_size(sizes[4], seconds > 0 ? (uint64_t)((double)all / seconds) : 0));
}
