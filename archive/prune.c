#include "archive/prune.h"

#include "archive/prune_parts.h"
#include "store/store.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is kept ---- */

static bool same_instant(const struct folder_archive *a, const struct folder_archive *b)
{
	return a->created_ns == b->created_ns && memcmp(a->uuid, b->uuid, UUID_SIZE) == 0;
}

static bool counts(const struct prune_item *item)
{
	return item->archive->state == FOLDER_WHOLE;
}

/* The first copy of an archive that counts counts for all. */
static const struct prune_item *first_copy(const struct prune *prune, const struct prune_item *item)
{
	for (const struct prune_item *other = prune->items; other < item; other++)
		if (counts(other) && same_instant(other->archive, item->archive))
			return other;
	return item;
}

static int apply_rules(struct prune *prune, struct error *err)
{
	int64_t *times = calloc(prune->n + 1u, sizeof(*times));
	unsigned *rules = calloc(prune->n + 1u, sizeof(*rules));
	unsigned n = 0;
	int code = times == NULL || rules == NULL ? fail_memory(err) : 0;

	for (unsigned i = prune->n; i-- > 0 && code == 0;)
		if (counts(&prune->items[i]) &&
		    first_copy(prune, &prune->items[i]) == &prune->items[i])
			times[n++] = prune->items[i].archive->created_ns;
	if (code == 0)
		code = keep_choose(&prune->options->keep, times, n, rules, err);
	for (unsigned i = 0; i < prune->n && code == 0; i++) {
		struct prune_item *item = &prune->items[i];
		const struct prune_item *first = first_copy(prune, item);

		if (counts(item))
			item->rules = first == item ? rules[--n] : first->rules;
		item->is_kept = item->rules != 0 || !counts(item) || item->is_in_use ||
				item->archive->is_protected;
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

/* Nothing is merged into what is protected, in use or not whole, nor into what such a one stands
 * on; nor into a copy, or what would be left of copies would be no parent of its children. */
static bool pins(const struct prune_item *item)
{
	return item->is_pinned || item->is_in_use || item->is_copy || item->archive->is_protected ||
	       item->archive->state != FOLDER_WHOLE;
}

static void keep_for_unknown(struct prune *prune, const struct folder_archive *unknown)
{
	for (unsigned i = 0; i < prune->n; i++) {
		struct prune_item *item = &prune->items[i];

		if (prune_may_need(unknown, item->archive))
			item->is_needed = item->is_kept = item->is_pinned = true;
	}
}

/* Archives of other machines, and those of none, are kept here. */
static void keep_parents(struct prune *prune)
{
	const struct folder *folder = prune->folder;
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
	for (unsigned i = 0; i < prune->n; i++) {
		struct prune_item *item = &prune->items[i];

		item->is_mergeable = item->is_needed && item->rules == 0 && !pins(item);
		item->is_merged = item->is_mergeable && prune->options->merge;
		item->is_kept = item->is_kept && !item->is_merged;
	}
}

static int list_items(struct prune *prune, struct error *err)
{
	const struct folder *folder = prune->folder;
	unsigned first = 0;

	while (first < folder->n && strcmp(folder->archives[first].machine, prune->machine) != 0)
		first++;
	prune->n = folder_next_machine(folder, first) - first;
	prune->items = calloc(prune->n + 1u, sizeof(*prune->items));
	if (prune->items == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < prune->n; i++)
		prune->items[i].archive = &folder->archives[first + i];
	for (unsigned i = 0; i < prune->n; i++)
		for (unsigned j = 0; j < folder->n && !prune->items[i].is_copy; j++)
			prune->items[i].is_copy =
				j != first + i && folder->archives[j].head_known &&
				prune->items[i].archive->head_known &&
				memcmp(folder->archives[j].uuid, prune->items[i].archive->uuid,
				       UUID_SIZE) == 0;
	return 0;
}

static int ask_use(struct prune *prune, struct error *err)
{
	struct prune_seized seized;
	struct shelf shelf;
	int code;

	if (store_is_name(prune->options->folder))
		return 0;
	code = shelf_open(&shelf, prune->options->folder, err);
	for (unsigned i = 0; i < prune->n && code == 0; i++) {
		prune->items[i].is_in_use =
			prune_seize(&seized, &shelf, prune->items[i].archive) != 0;
		prune_release(&seized);
	}
	shelf_close(&shelf);
	return code;
}

int prune_open(struct prune *out, const struct prune_options *options, struct folder *folder,
	       const char *machine, struct error *err)
{
	*out = (struct prune){
		.options = options, .machine = machine, .folder = folder, .lock = {.fd = -1}};
	if (!options->dry_run) {
		TRY(folder_lock_take(&out->lock, options->folder, machine, options->lock_wait,
				     err));
		TRY(folder_read_again(folder, err));
	}
	TRY(list_items(out, err));
	if (!options->dry_run)
		TRY(ask_use(out, err));
	TRY(apply_rules(out, err));
	keep_parents(out);
	return 0;
}

void prune_close(struct prune *prune)
{
	folder_lock_release(&prune->lock);
	free(prune->items);
	*prune = (struct prune){.lock = {.fd = -1}};
}
