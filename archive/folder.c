#include "archive/folder.h"

#include "archive/chain.h"
#include "reader/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
static int look_at(struct folder_archive *archive, const char *path, struct error *err)
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
	if (why.sys == ENOMEM || why.sys == EMFILE || why.sys == ENFILE) {
		*err = why;
		return code;
	}
	set_broken(archive, why.text);
	return 0;
}

static bool exists_beside(int folder, const char *file, const char *ending)
{
	char name[NAME_MAX + 1];
	struct stat status;

	return snprintf(name, sizeof(name), "%s%s", file, ending) < (int)sizeof(name) &&
	       fstatat(folder, name, &status, 0) == 0;
}

/* ---- the folder ---- */

static struct folder_archive *add(struct folder *folder, const char *file)
{
	struct folder_archive *archives = folder->archives;
	char *name = strdup(file);

	if (name != NULL && (folder->n & (folder->n - 1)) == 0)
		archives = realloc(archives, (folder->n * 2 + 1) * sizeof(*archives));
	if (name == NULL || archives == NULL) {
		free(name);
		return NULL;
	}
	folder->archives = archives;
	archives[folder->n] = (struct folder_archive){.file = name};
	return &archives[folder->n++];
}

/* Only plain files are looked at, and of those that are named like no archive of a machine only
 * what begins like an archive. */
static int read_entry(struct folder *folder, int fd, const char *file, struct error *err)
{
	struct folder_archive *archive;
	uint8_t uuid[UUID_SIZE];
	struct stat status;
	int64_t time_s = 0;
	size_t length = 0;
	bool is_named, begins;
	char *path;
	int code;

	if (fstatat(fd, file, &status, 0) != 0)
		return 0;
	is_named = folder_name_parse(file, &length, &time_s) && S_ISREG(status.st_mode);
	begins = chain_peek(fd, file, uuid);
	if (!is_named && !begins) {
		folder->n_others++;
		return 0;
	}
	archive = add(folder, file);
	path = text_make("%s/%s", folder->path, file);
	if (archive == NULL || path == NULL) {
		free(path);
		return fail_memory(err);
	}
	if (is_named)
		memcpy(archive->machine, file, length);
	archive->time_s = time_s;
	archive->stored_bytes = (uint64_t)status.st_size;
	archive->has_sums = exists_beside(fd, file, ".sums");
	archive->is_protected = exists_beside(fd, file, ".protected");
	code = 0;
	if (begins)
		code = look_at(archive, path, err);
	else
		set_broken(archive, "does not begin like an archive");
	free(path);
	if (code == 1)
		free(folder->archives[--folder->n].file);
	return code == 1 ? 0 : code;
}

/* Sums, marks and locks belong to archives; temporary files to runs. */
static bool is_accessory(const char *file)
{
	return file[0] == '.' || has_ending(file, ".vmab.sums") ||
	       has_ending(file, ".vmab.protected");
}

static int read_entries(struct folder *folder, DIR *entries, struct error *err)
{
	struct dirent *entry;

	while ((errno = 0, entry = readdir(entries)) != NULL)
		if (!is_accessory(entry->d_name))
			TRY(read_entry(folder, dirfd(entries), entry->d_name, err));
	return errno != 0 ? fail_system(err, errno, "folder %s", folder->path) : 0;
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

static int compare_uuids(const void *a, const void *b)
{
	const struct folder_archive *const *x = a, *const *y = b;
	int order = memcmp((*x)->uuid, (*y)->uuid, UUID_SIZE);

	/* Of several copies the whole ones come first. */
	return order != 0 ? order : ((*x)->state == FOLDER_BROKEN) - ((*y)->state == FOLDER_BROKEN);
}

/* Of several copies the first; NULL: it is not there. */
static struct folder_archive *find(struct folder_archive **by_uuid, unsigned n,
				   const uint8_t uuid[UUID_SIZE])
{
	unsigned low = 0, high = n;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (memcmp(by_uuid[middle]->uuid, uuid, UUID_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && memcmp(by_uuid[low]->uuid, uuid, UUID_SIZE) == 0 ? by_uuid[low] : NULL;
}

/* Chains are long, but not long enough to make walking each of them slow. A circle ends the walk.
 */
static void judge(struct folder_archive *archive, struct folder_archive **by_uuid, unsigned n)
{
	const struct folder_archive *link = archive;

	for (unsigned i = 0; i <= n && link != NULL && link->state != FOLDER_BROKEN; i++) {
		if (folder_is_full(link))
			return;
		link = find(by_uuid, n, link->parent);
	}
	if (archive->state != FOLDER_BROKEN)
		archive->state = FOLDER_LACKING;
}

static int judge_all(struct folder *folder, struct error *err)
{
	struct folder_archive **by_uuid = calloc(folder->n + 1u, sizeof(struct folder_archive *));

	if (by_uuid == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < folder->n; i++)
		by_uuid[i] = &folder->archives[i];
	qsort(by_uuid, folder->n, sizeof(struct folder_archive *), compare_uuids);
	for (unsigned i = 0; i < folder->n; i++)
		judge(&folder->archives[i], by_uuid, folder->n);
	free(by_uuid);
	return 0;
}

int folder_read(struct folder *out, const char *path, struct error *err)
{
	DIR *entries = opendir(path);
	int code;

	*out = (struct folder){.path = path};
	if (entries == NULL)
		return fail_system(err, errno, "%s", path);
	code = read_entries(out, entries, err);
	closedir(entries);
	TRY(code);
	qsort(out->archives, out->n, sizeof(*out->archives), compare);
	return judge_all(out, err);
}

void folder_free(struct folder *folder)
{
	for (unsigned i = 0; i < folder->n; i++)
		free(folder->archives[i].file);
	free(folder->archives);
	*folder = (struct folder){0};
}
