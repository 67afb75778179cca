#include "archive/merge.h"

#include "archive/create_copy.h"
#include "archive/merge_feed.h"
#include "archive/proved.h"
#include "archive/sums_adopt.h"
#include "base/bytes.h"
#include "base/watcher.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The new archive may take the place of the newest, once it is complete; another one's place is not
 * its own. What is written directly must be none of them. */
static int check_output(const struct merge *merge, struct error *err)
{
	const char *name = merge->create.name;
	bool direct = strcmp(name, "-") == 0, is_object = store_is_name(name);
	const struct chain_link *oldest;
	struct stat file;

	if (!is_object && (direct ? fstat(STDOUT_FILENO, &file) : stat(name, &file)) != 0)
		return 0;
	for (unsigned i = direct ? 0 : 1; i < merge->chain.n; i++)
		if (is_object ? archive_is_object(merge->chain.links[i].path, name)
			      : archive_is_file(merge->chain.links[i].path, &file))
			return fail(err, ERR_USAGE,
				    "%s: is one of the archives to be merged; only the name of "
				    "the newest may be used again",
				    direct ? merge->chain.links[i].path : name);
	oldest = &merge->chain.links[merge->chain.n - 1];
	if (all_zero(oldest->parent, UUID_SIZE) || oldest->stream != NULL)
		return 0;
	return create_copy_check_parents(&merge->create, oldest->path, err);
}

static int check_format(const struct merge *merge, struct error *err)
{
	const struct chain_link *oldest = &merge->chain.links[merge->chain.n - 1];

	if (merge->create.plan.format == FORMAT_VMAB || all_zero(oldest->parent, UUID_SIZE))
		return 0;
	return fail(err, ERR_UNSUPPORTED,
		    "%s: is incremental, and VMA cannot hold that; write a .vmab, or name its "
		    "parents too",
		    oldest->path);
}

static int copy_text(struct text *out, const struct text *from, struct error *err)
{
	uint8_t *text = malloc((size_t)from->length + 1);

	if (text == NULL)
		return fail_memory(err);
	if (from->length > 0)
		memcpy(text, from->bytes, from->length);
	*out = (struct text){text, from->length};
	return 0;
}

/* What the new archive has of the oldest: what it is an increment of, if it is one. */
static int take_parent(struct merge *merge, struct error *err)
{
	struct chain *chain = &merge->chain;
	struct chain_link *oldest = &chain->links[chain->n - 1];
	struct archive *to = merge->create.archive;
	struct opened_archive opened = {0};
	int code = 0;

	memcpy(to->parent, oldest->parent, UUID_SIZE);
	to->parent_checkpoint = merge->since;
	if (all_zero(to->parent, UUID_SIZE))
		return 0;
	if (chain->n > 1 && oldest->stream == NULL)
		code = chain_open(&opened, chain, chain->n - 1, 0, err);
	if (code == 0)
		code = copy_text(&merge->since,
				 chain->n == 1 ? &merge->newest.archive->parent_checkpoint
				 : oldest->stream != NULL
					 ? &oldest->stream->archive->parent_checkpoint
					 : &opened.archive->parent_checkpoint,
				 err);
	to->parent_checkpoint = merge->since;
	archive_close(&opened);
	return code;
}

/* What the drives' instants are called, and how far they are proved by all that is merged. */
static int take_marks(struct merge *merge, const struct watcher *watcher, struct error *err)
{
	struct chain *chain = &merge->chain;
	struct proved_chain proved;
	int code;

	TRY(create_prepare(&merge->create, watcher, err));
	code = proved_open(&proved, merge->newest.archive, err);
	for (unsigned i = 0; code == 0 && i < chain->n; i++) {
		struct opened_archive opened = {0};
		bool is_open = i == 0 || chain->links[i].stream != NULL;

		if (!is_open)
			code = chain_open(&opened, chain, i, 0, err);
		if (code == 0)
			code = proved_link(&proved,
					   i == 0    ? merge->newest.archive
					   : is_open ? chain->links[i].stream->archive
						     : opened.archive,
					   err);
		archive_close(&opened);
	}
	if (code == 0)
		proved_merge(&proved, merge->create.marks);
	proved_close(&proved);
	return code;
}

static int open_all(struct merge *merge, const struct merge_options *options,
		    const struct watcher *watcher, struct error *err)
{
	struct create *create = &merge->create;
	bool part = !options->whole;

	TRY(create_begin(create, &options->create, NULL, err));
	TRY(chain_find_once(&merge->chain, &options->archives, part, err));
	TRY(check_format(merge, err));
	TRY(check_output(merge, err));
	for (unsigned i = 0; i < merge->chain.n; i++)
		watcher_detail(watcher, "to be merged: %s", merge->chain.links[i].path);
	TRY(chain_open(&merge->newest, &merge->chain, 0, 0, err));
	TRY(create_copy_head(create, merge->newest.archive, merge->newest.name, watcher, err));
	TRY(take_parent(merge, err));
	TRY(take_marks(merge, watcher, err));
	TRY(create_open(create, watcher, err));
	return options->confined ? 0 : create_copy_confine(create, true, err);
}

/* What is asked once all is written. */
struct ending {
	const struct feed *feed;
	const struct merge_options *options;
};

static int end(void *context, struct error *err)
{
	const struct ending *ending = context;

	TRY(ending->feed->ended(ending->feed->ended_context, err));
	return ending->options->ended != NULL
		       ? ending->options->ended(ending->options->ended_context, err)
		       : 0;
}

int merge_run(struct merge *out, const struct merge_options *options, const struct watcher *watcher,
	      struct error *err)
{
	struct error why = {0};
	struct merge_feed from;
	struct feed own, feed;
	struct ending ending = {&own, options};
	bool to_vmab, as_stored;
	int code;

	*out = (struct merge){0};
	TRY(open_all(out, options, watcher, err));
	to_vmab = out->create.plan.format == FORMAT_VMAB;
	as_stored = to_vmab && options->create.compress == NULL;
	code = merge_feed_open(&from, &out->chain, &out->newest, to_vmab, as_stored, err);
	feed = own = merge_feed_of(&from);
	feed.ended = end;
	feed.ended_context = &ending;
	if (code == 0)
		code = create_write(&out->create, &feed, watcher, err);
	out->n_copied = from.n_copied;
	merge_feed_close(&from);
	/* Those beside the newest, in whose place the merged archive is now. */
	if (code == 0 && options->create.force && sums_adopt(options->create.name, &why) != 0)
		watcher_warn(watcher, "%s was merged, but its sums were not written: %s",
			     options->create.name, why.text);
	return code;
}

void merge_close(struct merge *merge)
{
	create_copy_close(&merge->create);
	archive_close(&merge->newest);
	free((void *)merge->since.bytes);
	chain_free(&merge->chain);
}
