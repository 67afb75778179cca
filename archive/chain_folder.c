#include "archive/chain_folder.h"

#include "archive/open.h"

#include "base/name.h"

#include <stdlib.h>
#include <string.h>

int found_keep(struct found *found, char *path, const uint8_t uuid[UUID_SIZE], struct error *err)
{
	struct chain_link *links = found->links;

	if (path != NULL && found->n == found->room) {
		found->room = found->room * 2 + 16;
		links = realloc(found->links, found->room * sizeof(*links));
	}
	if (path == NULL || links == NULL) {
		free(path);
		return fail_memory(err);
	}
	found->links = links;
	links[found->n] = (struct chain_link){.path = path};
	memcpy(links[found->n++].uuid, uuid, UUID_SIZE);
	return 0;
}

const struct chain_link *found_by_uuid(const struct found *found, const uint8_t uuid[UUID_SIZE])
{
	for (unsigned i = 0; i < found->n; i++)
		if (memcmp(found->links[i].uuid, uuid, UUID_SIZE) == 0)
			return &found->links[i];
	return NULL;
}

void found_free(struct found *found)
{
	for (unsigned i = 0; i < found->n; i++) {
		if (found->links[i].stream != NULL)
			archive_close(found->links[i].stream);
		free(found->links[i].stream);
		free(found->links[i].path);
	}
	free(found->links);
}

char *chain_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* ---- one folder ---- */

static void free_names(struct chain_folder *folder)
{
	for (unsigned i = 0; i < folder->n_names; i++)
		free(folder->names[i].name);
	free(folder->names);
}

static int add_name(struct chain_folder *folder, const char *name, struct error *err)
{
	unsigned n = folder->n_names;
	struct chain_name *names = folder->names;

	if ((n & (n - 1)) == 0)
		names = realloc(names, (n * (size_t)2 + 1) * sizeof(*names));
	if (names == NULL)
		return fail_memory(err);
	folder->names = names;
	names[n] = (struct chain_name){.name = strdup(name)};
	if (names[n].name == NULL)
		return fail_memory(err);
	folder->n_names++;
	return 0;
}

static int list(struct chain_folder *folder, struct error *err)
{
	struct stat status;
	const char *name;
	int code = 0;

	if (folder->is_listed)
		return 0;
	TRY(shelf_open(&folder->shelf, folder->path, err));
	while ((code = shelf_next(&folder->shelf, &name, &status, err)) == 1)
		if (name[0] != '.' && !has_ending(name, ".vmab.sums") &&
		    !has_ending(name, ".vmab.protected"))
			TRY(add_name(folder, name, err));
	folder->is_listed = code == 0;
	return code;
}

/* Once. */
static int look_at(struct chain_folder *folder, unsigned i, struct error *err)
{
	const char *name = folder->names[i].name;
	uint8_t uuid[UUID_SIZE];
	struct error unread = {0};
	int code;

	if (folder->names[i].looked_at)
		return 0;
	folder->names[i].looked_at = true;
	code = shelf_peek(&folder->shelf, name, uuid, &unread);
	if (code == 1)
		TRY(found_keep(&folder->archives, text_make("%s/%s", folder->path, name), uuid,
			       err));
	if (code < 0 && folder->shelf.is_store) {
		*err = unread;
		return code;
	}
	if (code < 0 && folder->unread.code == 0)
		folder->unread = unread;
	return 0;
}

/* How many names come before this one, where they are sorted. */
static unsigned place_of(const struct chain_folder *folder, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	unsigned i = folder->n_names;

	while (i > 0 && strcmp(folder->names[i - 1].name, name) >= 0)
		i--;
	return i;
}

int chain_folder_look(struct chain_folder *folder, const char *child, const uint8_t uuid[UUID_SIZE],
		      struct error *err)
{
	unsigned middle, n;

	TRY(list(folder, err));
	n = folder->n_names;
	middle = folder->shelf.is_store ? place_of(folder, child) : 0;
	for (unsigned i = middle; i-- > 0;) {
		if (folder->shelf.is_store && found_by_uuid(&folder->archives, uuid) != NULL)
			return 0;
		TRY(look_at(folder, i, err));
	}
	for (unsigned i = middle; i < n; i++) {
		if (folder->shelf.is_store && found_by_uuid(&folder->archives, uuid) != NULL)
			return 0;
		TRY(look_at(folder, i, err));
	}
	return 0;
}

void chain_folder_free(struct chain_folder *folder)
{
	found_free(&folder->archives);
	free_names(folder);
	shelf_close(&folder->shelf);
	free(folder->path);
}
