#include "archive/folder.h"

#include "archive/open.h"
#include "archive/shelf.h"
#include "base/text.h"
#include "reader/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool folder_is_full(const struct folder_archive *archive)
{
	static const uint8_t none[UUID_SIZE];

	return memcmp(archive->parent, none, UUID_SIZE) == 0;
}

bool folder_is_parent(const struct folder_archive *parent, const struct folder_archive *child)
{
	return !folder_is_full(child) && memcmp(parent->uuid, child->parent, UUID_SIZE) == 0;
}

unsigned folder_next_machine(const struct folder *folder, unsigned i)
{
	unsigned next = i;

	while (next < folder->n &&
	       strcmp(folder->archives[next].machine, folder->archives[i].machine) == 0)
		next++;
	return next;
}

/* ---- one archive ---- */

static void set_broken(struct folder_archive *archive, const char *why)
{
	archive->state = FOLDER_BROKEN;
	snprintf(archive->why, sizeof(archive->why), "%.199s", why);
}

/* That an archive is bad is its state, not an error. 1: it vanished. */
static int look_at(struct folder_archive *archive, const char *path, bool is_store,
		   struct error *err)
{
	struct opened_archive opened = {0};
	struct totals totals = {0};
	struct error why = {0};
	int code = archive_open(&opened, path, 0, &why);

	if (code == 0) {
		archive->head_known = true;
		memcpy(archive->uuid, opened.archive->uuid, UUID_SIZE);
		memcpy(archive->parent, opened.archive->parent, UUID_SIZE);
		archive->created_ns = opened.archive->created_ns;
		archive->drives_bytes = archive_drive_bytes(opened.archive);
		code = reader_find_tail(opened.reader, opened.input, &totals, &why);
		archive->data_bytes = totals.raw_size;
		if (code == 0)
			set_broken(archive, "no plain VMAB archive");
	}
	archive_close(&opened);
	if (code >= 0)
		return 0;
	if (why.sys == ENOENT)
		return 1;
	/* A store that cannot be asked tells nothing of its archives. */
	if (why.sys == ENOMEM || why.sys == EMFILE || why.sys == ENFILE ||
	    (is_store && code == ERR_SYSTEM)) {
		*err = why;
		return code;
	}
	set_broken(archive, why.text);
	return 0;
}

/* ---- the folder ---- */

/* One reading of it. */
struct reading {
	struct folder *folder;
	struct shelf shelf;
	const struct folder_archive **before; /* owned: what was there earlier, by name */
	unsigned n_before;
};

static int compare_names(const void *a, const void *b)
{
	const struct folder_archive *const *x = a, *const *y = b;

	return strcmp((*x)->file, (*y)->file);
}

static int index_before(struct reading *reading, const struct folder *before, struct error *err)
{
	size_t n = before == NULL ? 0 : (size_t)before->n + before->n_others;

	reading->before = calloc(n + 1, sizeof(*reading->before));
	if (reading->before == NULL)
		return fail_memory(err);
	for (; reading->n_before < n; reading->n_before++) {
		unsigned i = reading->n_before;

		reading->before[i] =
			i < before->n ? &before->archives[i] : &before->others[i - before->n];
	}
	qsort(reading->before, n, sizeof(*reading->before), compare_names);
	return 0;
}

/* The same file, unchanged. NULL: there was none. */
static const struct folder_archive *find_before(const struct reading *reading,
						const struct folder_archive *now)
{
	const struct folder_archive *const *found = bsearch(
		&now, reading->before, reading->n_before, sizeof(*reading->before), compare_names);
	const struct stat *a = &now->as_read, *b = found == NULL ? NULL : &(*found)->as_read;

	return b != NULL && a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
			       a->st_size == b->st_size && a->st_mode == b->st_mode &&
			       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
			       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec &&
			       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
			       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
		       ? *found
		       : NULL;
}

static int add(struct folder_archive **list, unsigned *n, const struct folder_archive *archive,
	       struct error *err)
{
	struct folder_archive *items = *list;

	if ((*n & (*n - 1)) == 0)
		items = realloc(items, (*n * 2u + 1) * sizeof(*items));
	if (items == NULL)
		return fail_memory(err);
	*list = items;
	items[*n] = *archive;
	items[*n].file = strdup(archive->file);
	if (items[*n].file == NULL)
		return fail_memory(err);
	++*n;
	return 0;
}

static bool is_archive(const struct folder_archive *archive)
{
	return *archive->machine != '\0' || archive->head_known || archive->state == FOLDER_BROKEN;
}

/* What is in the file. 1: it vanished. */
static int look_into(struct reading *reading, struct folder_archive *archive, struct error *err)
{
	bool is_store = reading->shelf.is_store;
	uint8_t uuid[UUID_SIZE];
	char why[sizeof(archive->why)], *path;
	struct error unread = {0};
	int code = is_store && has_ending(archive->file, ".vmab")
			   ? 1
			   : shelf_peek(&reading->shelf, archive->file, uuid, &unread);

	if (code < 0 && is_store) {
		*err = unread;
		return code;
	}
	if (code <= 0) {
		if (shelf_doubt(&reading->shelf, archive->file, why, sizeof(why)))
			set_broken(archive, why);
		else if (*archive->machine != '\0')
			set_broken(archive, "does not begin like an archive");
		return 0;
	}
	path = text_make("%s/%s", reading->folder->path, archive->file);
	if (path == NULL)
		return fail_memory(err);
	code = look_at(archive, path, is_store, err);
	free(path);
	return code;
}

/* Only plain files are looked at, and of those that are named like no archive of a machine only
 * what begins like an archive, or may have. */
static int read_entry(struct reading *reading, char *file, const struct stat *status,
		      struct error *err)
{
	struct folder *folder = reading->folder;
	struct folder_archive archive = {.file = file, .as_read = *status};
	const struct folder_archive *before;
	size_t length = 0;
	int code = 0;

	before = find_before(reading, &archive);
	if (before != NULL) {
		archive = *before;
		archive.file = file;
		archive.state = before->state == FOLDER_BROKEN ? FOLDER_BROKEN : FOLDER_WHOLE;
	} else {
		if (folder_name_parse(file, &length, &archive.time_s) &&
		    S_ISREG(archive.as_read.st_mode))
			memcpy(archive.machine, file, length);
		archive.stored_bytes = (uint64_t)archive.as_read.st_size;
		code = look_into(reading, &archive, err);
	}
	if (code != 0)
		return code == 1 ? 0 : code;
	if (!is_archive(&archive))
		return add(&folder->others, &folder->n_others, &archive, err);
	archive.has_sums = shelf_has(&reading->shelf, file, ".sums");
	archive.is_protected = shelf_has(&reading->shelf, file, ".protected");
	return add(&folder->archives, &folder->n, &archive, err);
}

/* Sums, marks and locks belong to archives; temporary files to runs. */
static bool is_accessory(const char *file)
{
	return file[0] == '.' || has_ending(file, ".vmab.sums") ||
	       has_ending(file, ".vmab.protected");
}

static int read_entries(struct reading *reading, struct error *err)
{
	struct stat status;
	const char *name;
	int code;

	while ((code = shelf_next(&reading->shelf, &name, &status, err)) == 1)
		if (!is_accessory(name))
			TRY(read_entry(reading, (char *)(uintptr_t)name, &status, err));
	return code;
}

static int compare(const void *a, const void *b)
{
	const struct folder_archive *x = a, *y = b;
	int order = strcmp(x->machine, y->machine);

	if (order == 0)
		order = x->time_s < y->time_s ? -1 : x->time_s > y->time_s;
	return order != 0 ? order : strcmp(x->file, y->file);
}

/* ---- which are whole with all that they stand on ---- */

static int compare_parents(const void *a, const void *b)
{
	const struct folder_archive *const *x = a, *const *y = b;

	return memcmp((*x)->parent, (*y)->parent, UUID_SIZE);
}

/* Archives by their parents, and a list of those that are known to be whole, as yet unused. */
struct judgement {
	struct folder_archive **by_parent, **whole;
	unsigned n, n_whole;
};

/* All that stands on this one, unless it is broken itself. Of several copies one is enough. */
static void judge_children(struct judgement *judgement, const struct folder_archive *parent)
{
	unsigned low = 0, high = judgement->n;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (memcmp(judgement->by_parent[middle]->parent, parent->uuid, UUID_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < judgement->n && folder_is_parent(parent, judgement->by_parent[low]); low++) {
		struct folder_archive *child = judgement->by_parent[low];

		if (child->state != FOLDER_LACKING)
			continue;
		child->state = FOLDER_WHOLE;
		judgement->whole[judgement->n_whole++] = child;
	}
}

/* From full archives on; what is in a circle is never come to. */
static void judge(struct judgement *judgement)
{
	for (unsigned i = 0; i < judgement->n; i++) {
		struct folder_archive *archive = judgement->by_parent[i];

		if (archive->state == FOLDER_BROKEN)
			continue;
		archive->state = folder_is_full(archive) ? FOLDER_WHOLE : FOLDER_LACKING;
		if (archive->state == FOLDER_WHOLE)
			judgement->whole[judgement->n_whole++] = archive;
	}
	for (unsigned i = 0; i < judgement->n_whole; i++)
		judge_children(judgement, judgement->whole[i]);
}

static int judge_all(struct folder *folder, struct error *err)
{
	struct judgement judgement = {.n = folder->n};
	size_t room = folder->n + (size_t)1;
	int code = 0;

	judgement.by_parent = calloc(room, sizeof(*judgement.by_parent));
	judgement.whole = calloc(room, sizeof(*judgement.whole));
	if (judgement.by_parent == NULL || judgement.whole == NULL)
		code = fail_memory(err);
	for (unsigned i = 0; i < folder->n && code == 0; i++)
		judgement.by_parent[i] = &folder->archives[i];
	if (code == 0) {
		qsort(judgement.by_parent, folder->n, sizeof(*judgement.by_parent),
		      compare_parents);
		judge(&judgement);
	}
	free(judgement.by_parent);
	free(judgement.whole);
	return code;
}

int folder_read(struct folder *out, const char *path, const struct folder *before,
		struct error *err)
{
	struct reading reading = {.folder = out};
	int code;

	*out = (struct folder){.path = path};
	code = shelf_open(&reading.shelf, path, err);
	if (code == 0)
		code = index_before(&reading, before, err);
	if (code == 0)
		code = read_entries(&reading, err);
	shelf_close(&reading.shelf);
	free(reading.before);
	TRY(code);
	if (out->n > 0)
		qsort(out->archives, out->n, sizeof(*out->archives), compare);
	return judge_all(out, err);
}

int folder_read_again(struct folder *folder, struct error *err)
{
	struct folder now;
	int code = folder_read(&now, folder->path, folder, err);

	if (code != 0) {
		folder_free(&now);
		return code;
	}
	folder_free(folder);
	*folder = now;
	return 0;
}

static void free_list(struct folder_archive *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(list[i].file);
	free(list);
}

void folder_free(struct folder *folder)
{
	free_list(folder->archives, folder->n);
	free_list(folder->others, folder->n_others);
	*folder = (struct folder){0};
}
