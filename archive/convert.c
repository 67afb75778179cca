#include "archive/convert.h"

#include "archive/create_copy.h"
#include "archive/feeds.h"
#include "base/changer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_same_file(const char *from, const char *to)
{
	struct stat found;
	int code = strcmp(to, "-") == 0 ? fstat(STDOUT_FILENO, &found) : stat(to, &found);

	return archive_is_object(from, to) || (code == 0 && archive_is_file(from, &found));
}

static int write_one(struct convert *convert, const struct watcher *watcher, struct error *err)
{
	struct feed_reader from = {convert->opened.reader, convert->opened.input};
	struct feed feed;

	/* What the archive stands on, so will the new one. */
	if (!archive_is_stream(convert->opened.name))
		TRY(in_use_hold(&convert->held, convert->opened.name, err));
	TRY(create_copy_head(&convert->create, convert->opened.archive, convert->opened.name,
			     watcher, err));
	TRY(create_open(&convert->create, watcher, err));
	TRY(create_copy_confine(&convert->create, changer_may_change(convert->opened.name), err));
	feed = feed_of_reader(&from);
	return create_write(&convert->create, &feed, watcher, err);
}

static int merge_all(struct convert *convert, const struct strings *names,
		     const struct strings *folders, const struct create_options *options,
		     const struct watcher *watcher, struct error *err)
{
	const struct strings parents = {names->items + 1, names->n - 1};
	struct merge_options how = {
		.whole = convert->create.plan.format == FORMAT_VMA1,
		.create = *options,
	};

	int code;

	create_close(&convert->create);
	archive_close(&convert->opened);
	convert->made = &convert->merge.create;
	if (!strings_join(&how.archives, names->items[0], &parents, folders))
		return fail_memory(err);
	code = merge_run(&convert->merge, &how, watcher, err);
	free(how.archives.items);
	return code;
}

int convert_run(struct convert *out, const struct strings *names, const struct strings *folders,
		const struct create_options *options, const struct watcher *watcher,
		struct error *err)
{
	const char *name = names->items[0];
	bool can_parent;

	*out = (struct convert){.made = &out->create};
	TRY(create_begin(&out->create, options, NULL, err));
	if (names->n > 1)
		return merge_all(out, names, folders, options, watcher, err);
	if (is_same_file(name, options->name))
		return fail(err, ERR_USAGE, "%s: is the archive to be read; write to another name",
			    name);
	TRY(archive_open(&out->opened, name, 0, err));
	can_parent = out->create.plan.format == FORMAT_VMAB;
	if (can_parent && archive_is_incremental(out->opened.archive) && !archive_is_stream(name))
		TRY(create_copy_check_parents(&out->create, name, err));
	if (can_parent || !archive_is_incremental(out->opened.archive))
		return write_one(out, watcher, err);
	if (archive_is_stream(name))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: is incremental, and VMA cannot hold that: name its parents too, "
			    "or write a .vmab",
			    name);
	return merge_all(out, names, folders, options, watcher, err);
}

void convert_close(struct convert *convert)
{
	create_copy_close(&convert->create);
	merge_close(&convert->merge);
	in_use_end(&convert->held);
	archive_close(&convert->opened);
}
