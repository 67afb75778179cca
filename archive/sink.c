#include "archive/sink.h"

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

int sink_prepare(struct sink *out, const struct sink_options *options, struct error *err)
{
	const char *name = options->name;
	bool by_name;

	memset(out, 0, sizeof(*out));
	out->name = name;
	out->options = options;
	if (*name == '\0')
		return fail(err, ERR_USAGE, "-o: the name of an archive must not be empty");
	if (options->record_size % SECTOR_SIZE != 0)
		return fail(err, ERR_USAGE, "--record-size %llu: must be a multiple of %u",
			    (unsigned long long)options->record_size, SECTOR_SIZE);
	if (check_name(name, options->force, &by_name, err) < 0)
		return err->code;
	return sink_plan(&out->plan, by_name, options, err);
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

int sink_open(struct sink *sink, const struct archive *archive, struct error *err)
{
	const struct sink_options *options = sink->options;
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

int sink_run(struct sink *sink, const struct feed *feed, struct error *err)
{
	return writer_run(sink->writer, feed, threads_wanted(sink->options->threads), err);
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
