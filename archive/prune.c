#include "archive/prune.h"

#include "base/newfile.h"

#include <dirent.h>
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

static void need_parents(struct prune *prune, const struct folder_archive *child, bool *more)
{
	for (unsigned i = 0; i < prune->n; i++) {
		struct prune_item *item = &prune->items[i];

		if (item->is_needed || !folder_is_parent(item->archive, child))
			continue;
		item->is_needed = item->is_kept = true;
		*more = true;
	}
}

/* Archives of other machines, and those of none, are kept here. */
static void keep_parents(struct prune *prune)
{
	const struct folder *folder = &prune->folder;
	bool more = true;

	for (unsigned i = 0; i < folder->n; i++)
		if (strcmp(folder->archives[i].machine, prune->machine) != 0)
			need_parents(prune, &folder->archives[i], &more);
	while (more) {
		more = false;
		for (unsigned i = prune->n; i-- > 0;)
			if (prune->items[i].is_kept)
				need_parents(prune, prune->items[i].archive, &more);
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

/* Sums whose archive somebody else has removed. */
static int remove_lone_sums(struct prune *prune, int folder, struct error *err)
{
	DIR *entries = opendir(prune->options->folder);
	struct dirent *entry;
	char file[NAME_MAX + 1];
	struct stat status;
	int code = 0;

	if (entries == NULL)
		return fail_system(err, errno, "%s", prune->options->folder);
	while (code == 0 && (entry = readdir(entries)) != NULL) {
		if (!has_ending(entry->d_name, ".sums") || !is_of_machine(prune, entry->d_name))
			continue;
		snprintf(file, sizeof(file), "%.*s", (int)strlen(entry->d_name) - 5, entry->d_name);
		if (fstatat(folder, file, &status, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
			code = remove_file(prune, folder, file, ".sums", err);
	}
	closedir(entries);
	return code;
}

int prune_apply(struct prune *prune, struct error *err)
{
	int folder, code;

	if (prune->options->dry_run)
		return 0;
	folder = open(prune->options->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return fail_system(err, errno, "%s", prune->options->folder);
	newfile_remove_dead(prune->options->folder, is_of_machine, prune);
	code = remove_items(prune, folder, err);
	if (code == 0)
		code = remove_lone_sums(prune, folder, err);
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
