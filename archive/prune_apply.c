#include "archive/merge.h"
#include "archive/prune.h"
#include "archive/prune_parts.h"
#include "base/part.h"
#include "base/watcher.h"
#include "store/folder.h"
#include "store/store.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

struct merging {
	const struct prune *prune;
	struct prune_item *newest;
};

/* 1: its mark is there; 0: not. */
static int object_exists(const struct prune *prune, const char *file, struct error *err)
{
	struct store_folder *folder = NULL;
	char *name = text_make("%s.protected", file);
	int code = name == NULL ? fail_memory(err)
				: store_folder_open(&folder, prune->options->folder, err);

	if (code == 0)
		code = store_folder_has(folder, name, err);
	store_folder_close(folder);
	free(name);
	return code;
}

/* Before the merged archive takes its place. */
static int check_newest(void *context, struct error *err)
{
	const struct merging *merging = context;
	struct folder_archive *newest = merging->newest->archive;
	int is_protected;
	char *path = text_make("%s/%s.protected", merging->prune->options->folder, newest->file);

	if (path == NULL)
		return fail_memory(err);
	is_protected = store_is_name(path) ? object_exists(merging->prune, newest->file, err)
					   : access(path, F_OK) == 0;
	free(path);
	if (is_protected < 0)
		return is_protected;
	newest->is_protected = is_protected != 0;
	return newest->is_protected
		       ? fail(err, ERR_LOCKED, "%s: was protected meanwhile", newest->file)
		       : 0;
}

/* Nothing was merged: all stay as they are. */
static void keep_unmerged(struct prune *prune, struct prune_item *newest)
{
	struct prune_item *item = parent_of(prune, newest);

	for (unsigned i = 0; i < prune->n && item != NULL && item->is_merged; i++) {
		item->is_merged = false;
		item->is_kept = true;
		item = parent_of(prune, item);
	}
}

/* The merged archive takes the place of the newest in one step, and shows the same instant: what
 * stands on it never lacks its parent, whenever this run ends. */
static int merge_into(struct prune *prune, struct prune_item *newest, const struct watcher *watcher,
		      struct error *err)
{
	struct merging merging = {prune, newest};
	struct merge_options options = {.confined = true,
					.create = {.force = true},
					.ended = check_newest,
					.ended_context = &merging};
	struct prune_item *oldest = newest;
	struct merge merge = {0};
	int code = list_paths(prune, newest, &options.archives, &oldest, err);

	options.create.name = options.archives.n > 0 ? options.archives.items[0] : NULL;
	if (code == 0) {
		code = merge_run(&merge, &options, watcher, err);
		merge_close(&merge);
	}
	if (code != 0 && newest->archive->is_protected) {
		*err = (struct error){0};
		keep_unmerged(prune, newest);
	}
	if (code == 0)
		memcpy(newest->archive->parent, oldest->archive->parent, UUID_SIZE);
	for (unsigned i = 0; i < options.archives.n; i++)
		free((char *)options.archives.items[i]);
	free(options.archives.items);
	return err->code;
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

/* The sums first: those without an archive would be believed (spec/sums.md, section 3). */
static int remove_item(struct prune_item *item, struct shelf *shelf, struct error *err)
{
	TRY(shelf_may_remove(shelf, item->archive->file, err));
	TRY(shelf_remove(shelf, item->archive->file, ".sums", err));
	TRY(shelf_remove(shelf, item->archive->file, "", err));
	item->was_removed = true;
	return 0;
}

static bool has_child(const struct prune *prune, const struct prune_item *item)
{
	for (unsigned i = 0; i < prune->n; i++)
		if (!prune->items[i].is_going && !prune->items[i].was_removed &&
		    folder_is_parent(item->archive, prune->items[i].archive))
			return true;
	return false;
}

#define BATCH 32u /* archives that are removed after one more look at the folder */

struct batch {
	struct prune_item *items[BATCH];
	struct prune_seized seized[BATCH];
	unsigned n;
};

/* Newest first. */
static void choose_batch(struct prune *prune, struct batch *batch)
{
	for (unsigned i = prune->n; i-- > 0 && batch->n < BATCH;) {
		struct prune_item *item = &prune->items[i];

		if (item->is_kept || item->is_going || item->was_removed || has_child(prune, item))
			continue;
		item->is_going = true;
		batch->items[batch->n++] = item;
	}
}

static void keep_it(struct prune_item *item, bool *why)
{
	*why = item->is_kept = true;
	item->is_going = item->is_merged = false;
}

static void keep_for(struct prune_item *item, const struct folder *folder,
		     const struct folder_archive *unknown, const struct watcher *watcher)
{
	if (!item->is_kept)
		watcher_warn(watcher, "%s/%s: %s, so what it may need is kept: %s", folder->path,
			     unknown->file, unknown->why, item->archive->file);
	keep_it(item, &item->is_needed);
}

/* By what is in the folder now, whether the archive may go. Those that went stand on nothing. */
static void look_again(struct folder *now, struct prune_item *item, const struct watcher *watcher)
{
	const struct stat *was = &item->archive->as_read;

	for (unsigned i = 0; i < now->n; i++) {
		const struct folder_archive *other = &now->archives[i];
		bool is_it = strcmp(other->file, item->archive->file) == 0;

		if (is_it && other->is_protected)
			keep_it(item, &item->archive->is_protected);
		if (prune_may_need(other, item->archive))
			keep_for(item, now, other, watcher);
		if (is_it ? other->as_read.st_ino != was->st_ino
			  : folder_is_parent(item->archive, other))
			keep_it(item, &item->is_needed);
	}
}

static void forget(struct folder *now, const struct prune_item *item)
{
	for (unsigned i = 0; i < now->n; i++)
		if (strcmp(now->archives[i].file, item->archive->file) == 0)
			memset(now->archives[i].parent, 0, UUID_SIZE);
}

/* Runs that need one of them from here on wait for its lock, and then find it gone. What those that
 * had it before wrote is in the folder. */
static int remove_batch(struct prune *prune, struct batch *batch, struct shelf *shelf,
			const struct watcher *watcher, struct error *err)
{
	struct folder now;
	int code;

	for (unsigned i = 0; i < batch->n; i++)
		if (prune_seize(&batch->seized[i], shelf, batch->items[i]->archive) != 0)
			keep_it(batch->items[i], &batch->items[i]->is_in_use);
	code = folder_read(&now, prune->options->folder, prune->folder, err);
	for (unsigned i = 0; i < batch->n && code == 0; i++) {
		struct prune_item *item = batch->items[i];

		if (!item->is_kept)
			look_again(&now, item, watcher);
		if (item->is_kept)
			continue;
		code = remove_item(item, shelf, err);
		if (code == ERR_LOCKED) {
			watcher_note(watcher, "%s: it is kept, with what it needs", err->text);
			*err = (struct error){0};
			code = 0;
			keep_it(item, &item->is_locked);
			continue;
		}
		forget(&now, item);
	}
	for (unsigned i = 0; i < batch->n; i++)
		prune_release(&batch->seized[i]);
	folder_free(&now);
	return code;
}

static int remove_items(struct prune *prune, struct shelf *shelf, const struct watcher *watcher,
			struct error *err)
{
	struct batch batch;

	do {
		batch.n = 0;
		choose_batch(prune, &batch);
		if (batch.n > 0)
			TRY(remove_batch(prune, &batch, shelf, watcher, err));
	} while (batch.n > 0);
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
	struct shelf shelf;
	int code;

	if (prune->options->dry_run)
		return 0;
	code = shelf_open(&shelf, prune->options->folder, err);
	if (code == 0 && !shelf.is_store)
		part_remove_dead(prune->options->folder, is_of_machine, prune);
	/* What nobody needs makes room for merging. */
	if (code == 0)
		code = remove_items(prune, &shelf, watcher, err);
	if (code == 0)
		code = merge_all(prune, watcher, err);
	if (code == 0)
		code = remove_items(prune, &shelf, watcher, err);
	shelf_close(&shelf);
	return code;
}
