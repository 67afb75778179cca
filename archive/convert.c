#include "archive/convert.h"

#include "archive/create_copy.h"
#include "archive/feeds.h"

#include <string.h>
#include <unistd.h>

static bool is_same_file(const char *from, const char *to)
{
	struct stat found;
	int code = strcmp(to, "-") == 0 ? fstat(STDOUT_FILENO, &found) : stat(to, &found);

	return code == 0 && archive_is_file(from, &found);
}

int convert_run(struct convert *out, const char *name, const struct create_options *options,
		const struct watcher *watcher, struct error *err)
{
	struct feed_reader from;
	struct feed feed;

	*out = (struct convert){0};
	TRY(create_begin(&out->create, options, NULL, err));
	if (is_same_file(name, options->name))
		return fail(err, ERR_USAGE, "%s: is the archive to be read; write to another name",
			    name);
	TRY(archive_open(&out->opened, name, 0, err));
	if (out->create.archive->format == FORMAT_VMA1 &&
	    archive_is_incremental(out->opened.archive))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: is incremental, and VMA cannot hold that; write a .vmab", name);
	TRY(create_copy_head(&out->create, out->opened.archive, name, watcher, err));
	TRY(create_open(&out->create, watcher, err));
	TRY(create_copy_confine(&out->create, false, err));
	from = (struct feed_reader){out->opened.reader, out->opened.input};
	feed = feed_of_reader(&from);
	return create_write(&out->create, &feed, watcher, err);
}

void convert_close(struct convert *convert)
{
	create_copy_close(&convert->create);
	archive_close(&convert->opened);
}
