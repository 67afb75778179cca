#include "archive/prune.h"

#include "archive/merge.h"
#include "archive/sums_adopt.h"
#include "base/newfile.h"
#include "base/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is kept ---- */

static int apply_rules(struct prune *prune, struct error *err)
{
	int64_t *times = calloc(prune->n + 1u, sizeof(*times));
	unsigned *rules = calloc(prune->n + 1u, sizeof(*rules));
	unsigned n = 0;
	int code = times == NULL || rules == NULL ? fail_memory(err) : 0;

	for (unsigned i = prune->n; i-- > 0 && code == 0;)
		if (prune->items[i].archive->state == FOLDER_WHOLE)
			times[n++] = prune->items[i].archive->created_ns;
	if (code == 0)
		code = keep_choose(&prune->options->keep, times, n, rules, err);
	for (unsigned i = 0; i < prune->n && code == 0; i++) {
		struct prune_item *item = &prune->items[i];
		bool is_whole = item->archive->state == FOLDER_WHOLE;

		item->rules = is_whole ? rules[--n] : 0;
		item->is_kept = item->rules != 0 || !is_whole || item->archive->is_protected;
	}
	free(times);
	free(rules);
	return code;
}

/* pinned: nothing is merged into the child. */
static void need_parents(struct prune *prune, const struct folder_archive *child, bool pinned,
			 bool *more)
{
	for (unsigned i = 0; i < prune->n; i++) {
		struct prune_item *item = &prune->items[i];

		if (!folder_is_parent(item->archive, child) ||
		    (item->is_needed && (item->is_pinned || !pinned)))
			continue;
		item->is_needed = item->is_kept = true;
		item->is_pinned = item->is_pinned || pinned;
		*more = true;
	}
}

/* Nothing is merged into what is protected or not whole, nor into what such a one stands on. */
static bool pins(const struct prune_item *item)
{
	return item->is_pinned || item->archive->is_protected ||
	       item->archive->state != FOLDER_WHOLE;
}

/* What an archive with an unreadable head stands on is not known: anything older. */
static void keep_for_unknown(struct prune *prune, const struct folder_archive *unknown)
{
	bool is_named = *unknown->machine != '\0';

	if (is_named && strcmp(unknown->machine, prune->machine) != 0)
		return;
	for (unsigned i = 0; i < prune->n; i++) {
		struct prune_item *item = &prune->items[i];

		if (!is_named || item->archive->time_s <= unknown->time_s)
			item->is_needed = item->is_kept = item->is_pinned = true;
	}
}

/* Archives of other machines, and those of none, are kept here. */
static void keep_parents(struct prune *prune)
{
	const struct folder *folder = &prune->folder;
	bool more = true;

	for (unsigned i = 0; i < folder->n; i++)
		if (!folder->archives[i].head_known)
			keep_for_unknown(prune, &folder->archives[i]);
	for (unsigned i = 0; i < folder->n; i++)
		if (strcmp(folder->archives[i].machine, prune->machine) != 0)
			need_parents(prune, &folder->archives[i], true, &more);
	while (more) {
		more = false;
		for (unsigned i = prune->n; i-- > 0;)
			if (prune->items[i].is_kept)
				need_parents(prune, prune->items[i].archive, pins(&prune->items[i]),
					     &more);
	}
	for (unsigned i = 0; i < prune->n && prune->options->merge; i++) {
		struct prune_item *item = &prune->items[i];

		item->is_merged = item->is_needed && item->rules == 0 && !pins(item);
		item->is_kept = item->is_kept && !item->is_merged;
	}
}

static int list_items(struct prune *prune, struct error *err)
{
	const struct folder *folder = &prune->folder;
	unsigned first = 0;

	while (first < folder->n && strcmp(folder->archives[first].machine, prune->machine) != 0)
		first++;
	prune->n = folder_next_machine(folder, first) - first;
	prune->items = calloc(prune->n + 1u, sizeof(*prune->items));
	if (prune->items == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < prune->n; i++)
		prune->items[i].archive = &folder->archives[first + i];
	return 0;
}

int prune_open(struct prune *out, const struct prune_options *options, const char *machine,
	       struct error *err)
{
	*out = (struct prune){.options = options, .machine = machine, .lock = {.fd = -1}};
	if (!options->dry_run)
		TRY(folder_lock_take(&out->lock, options->folder, machine, options->lock_wait,
				     err));
	TRY(folder_read(&out->folder, options->folder, err));
	TRY(list_items(out, err));
	TRY(apply_rules(out, err));
	keep_parents(out);
	return 0;
}

/* ---- what is merged ---- */

static struct prune_item *parent_of(const struct prune *prune, const struct prune_item *child)
{
	for (unsigned i = 0; i < prune->n; i++)
		if (folder_is_parent(prune->items[i].archive, child->archive))
			return &prune->items[i];
	return NULL;
}

/* The paths of an archive and of those that are merged into it, newest first; owned. *oldest: the
 * last one. */
static int list_paths(const struct prune *prune, struct prune_item *newest, struct strings *out,
		      struct prune_item **oldest, struct error *err)
{
	struct prune_item *item = newest;

	*out = (struct strings){calloc(prune->n + 1u, sizeof(*out->items)), 0};
	while (out->items != NULL && item != NULL && out->n < prune->n &&
	       (item == newest || item->is_merged)) {
		char *path = text_make("%s/%s", prune->options->folder, item->archive->file);

		if (path == NULL)
			return fail_memory(err);
		out->items[out->n++] = path;
		*oldest = item;
		item = parent_of(prune, item);
	}
	return out->items == NULL ? fail_memory(err) : 0;
}

/* The merged archive takes the place of the newest in one step, and shows the same instant: what
 * stands on it never lacks its parent, whenever this run ends. */
static int merge_into(struct prune *prune, struct prune_item *newest, const struct watcher *watcher,
		      struct error *err)
{
	struct merge_options options = {.confined = true, .create = {.force = true}};
	struct prune_item *oldest = newest;
	struct error why = {0};
	struct merge merge = {0};
	int code = list_paths(prune, newest, &options.archives, &oldest, err);

	options.create.name = options.archives.n > 0 ? options.archives.items[0] : NULL;
	if (code == 0) {
		code = merge_run(&merge, &options, watcher, err);
		merge_close(&merge);
	}
	if (code == 0)
		memcpy(newest->archive->parent, oldest->archive->parent, UUID_SIZE);
	if (code == 0 && sums_adopt(options.create.name, &why) != 0)
		watcher_warn(watcher, "%s was merged, but its sums were not written: %s",
			     options.create.name, why.text);
	for (unsigned i = 0; i < options.archives.n; i++)
		free((char *)options.archives.items[i]);
	free(options.archives.items);
	return code;
}

static int merge_all(struct prune *prune, const struct watcher *watcher, struct error *err)
{
	for (unsigned i = 0; i < prune->n; i++) {
		struct prune_item *item = &prune->items[i];
		const struct prune_item *parent = item->is_kept ? parent_of(prune, item) : NULL;

		if (parent != NULL && parent->is_merged)
			TRY(merge_into(prune, item, watcher, err));
	}
	return 0;
}

/* ---- what is removed ---- */

static int remove_file(const struct prune *prune, int folder, const char *file, const char *ending,
		       struct error *err)
{
	char name[NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s%s", file, ending);
	if (unlinkat(folder, name, 0) != 0)
		return errno == ENOENT ? 0
				       : fail_system(err, errno, "%s/%s: removing it",
						     prune->options->folder, name);
	/* Some network file systems have no such thing for a folder. */
	if (fsync(folder) != 0 && errno != EINVAL && errno != EOPNOTSUPP)
		return fail_system(err, errno, "%s: syncing the folder", prune->options->folder);
	return 0;
}

/* The sums first: those without an archive would be believed (spec/sums.md, section 3). */
static int remove_item(const struct prune *prune, struct prune_item *item, int folder,
		       struct error *err)
{
	TRY(remove_file(prune, folder, item->archive->file, ".sums", err));
	TRY(remove_file(prune, folder, item->archive->file, "", err));
	item->was_removed = true;
	return 0;
}

static bool has_child(const struct prune *prune, const struct prune_item *item)
{
	for (unsigned i = 0; i < prune->n; i++)
		if (!prune->items[i].was_removed &&
		    folder_is_parent(item->archive, prune->items[i].archive))
			return true;
	return false;
}

/* Newest first; again for those whose names do not tell their order. */
static int remove_items(struct prune *prune, int folder, struct error *err)
{
	for (bool more = true; more;) {
		more = false;
		for (unsigned i = prune->n; i-- > 0;) {
			struct prune_item *item = &prune->items[i];

			if (item->is_kept || item->was_removed || has_child(prune, item))
				continue;
			TRY(remove_item(prune, item, folder, err));
			more = true;
		}
	}
	return 0;
}

static bool is_of_machine(void *context, const char *name)
{
	const struct prune *prune = context;
	const char *end = has_ending(name, ".sums") ? name + strlen(name) - 5 : name + strlen(name);
	char file[NAME_MAX + 1];
	int64_t time_s;
	size_t length;

	snprintf(file, sizeof(file), "%.*s", (int)(end - name), name);
	return folder_name_parse(file, &length, &time_s) && length == strlen(prune->machine) &&
	       memcmp(file, prune->machine, length) == 0;
}

int prune_apply(struct prune *prune, const struct watcher *watcher, struct error *err)
{
	int folder, code;

	if (prune->options->dry_run)
		return 0;
	folder = open(prune->options->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return fail_system(err, errno, "%s", prune->options->folder);
	newfile_remove_dead(prune->options->folder, is_of_machine, prune);
	/* What nobody needs makes room for merging. */
	code = remove_items(prune, folder, err);
	if (code == 0)
		code = merge_all(prune, watcher, err);
	if (code == 0)
		code = remove_items(prune, folder, err);
	close(folder);
	return code;
}

void prune_close(struct prune *prune)
{
	folder_lock_release(&prune->lock);
	folder_free(&prune->folder);
	free(prune->items);
	*prune = (struct prune){.lock = {.fd = -1}};
}
