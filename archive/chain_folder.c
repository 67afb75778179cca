#include "archive/chain_folder.h"

#include "archive/open.h"
#include "archive/peek.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
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

static int read_entries(struct chain_folder *folder, DIR *entries, struct error *err)
{
	uint8_t uuid[UUID_SIZE];
	struct dirent *entry;
	int sys;

	while (errno = 0, (entry = readdir(entries)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (peek_archive(dirfd(entries), entry->d_name, uuid, &sys))
			TRY(found_keep(&folder->archives,
				       text_make("%s/%s", folder->path, entry->d_name), uuid, err));
		else if (sys != 0 && folder->unread.code == 0)
			fail_system(&folder->unread, sys, "%s/%s", folder->path, entry->d_name);
	}
	return errno != 0 ? fail_system(err, errno, "folder %s", folder->path) : 0;
}

int chain_folder_read(struct chain_folder *folder, struct error *err)
{
	DIR *entries;
	int code;

	/* An object store has no folders: its parents have to be named. */
	if (folder->is_read || store_is_name(folder->path))
		return 0;
	entries = opendir(folder->path);
	if (entries == NULL)
		return fail_system(err, errno, "folder %s", folder->path);
	code = read_entries(folder, entries, err);
	closedir(entries);
	folder->is_read = code == 0;
	return code;
}

void chain_folder_free(struct chain_folder *folder)
{
	found_free(&folder->archives);
	free(folder->path);
}
