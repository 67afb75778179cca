#include "archive/chain.h"

#include "archive/sums.h"
#include "base/clusterset.h"
#include "base/io.h"
#include "base/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Archives, by name or as a folder has them. */
struct found {
	struct chain_link *links; /* owned */
	unsigned n, room;
};

/* The archives of a folder by their first bytes, which prove nothing: parents are not known. Kept,
 * as those of a chain mostly lie in one. */
struct look {
	struct found named;
	char *folder; /* owned; NULL: none yet */
	struct found in_folder;
};

static bool same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, UUID_SIZE) == 0;
}

static bool is_full(const struct chain_link *link)
{
	static const uint8_t none[UUID_SIZE];

	return same(link->parent, none);
}

static void free_links(struct chain_link *links, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(links[i].path);
	free(links);
}

/* Takes over path, also when it fails; the parent is left to the caller. */
static int keep(struct found *found, char *path, const uint8_t uuid[UUID_SIZE], struct error *err)
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

/* A chain's archives are opened more than once. */
static int check_name(const char *name, struct error *err)
{
	struct stat status;
	int is_sums;

	if (strcmp(name, "-") == 0)
		return fail(err, ERR_USAGE,
			    "an archive of a chain is read from a file, not from standard input");
	if (stat(name, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)))
		return fail(err, ERR_USAGE,
			    "%s: an archive of a chain is read from a file, not from a pipe",
			    name);
	is_sums = sums_is(name, err);
	if (is_sums < 0)
		return is_sums;
	if (is_sums > 0)
		return fail(err, ERR_USAGE,
			    "%s: is a sums file, which 'backup --parent' and 'diff' take, not an "
			    "archive",
			    name);
	return 0;
}

/* What is named must be an archive. */
static int add_named(struct found *found, const char *name, struct error *err)
{
	struct opened_archive opened = {0};
	int code = check_name(name, err);

	if (code == 0)
		code = archive_open(&opened, name, 0, err);
	if (code == 0 && opened.archive->format != FORMAT_VMAB)
		code = fail(err, ERR_USAGE, "%s: is a VMA archive, which has no parents and no sums",
			    name);
	if (code == 0)
		code = keep(found, strdup(name), opened.archive->uuid, err);
	else
		error_in_file(err, name);
	if (code == 0)
		memcpy(found->links[found->n - 1].parent, opened.archive->parent, UUID_SIZE);
	archive_close(&opened);
	return code;
}

/* What lies in a folder may be anything: only what begins like a VMAB archive is of interest. The
 * folder may be /dev, where to open a watchdog is to start it. */
static bool read_uuid(int folder, const char *name, uint8_t uuid[UUID_SIZE])
{
	uint8_t first[SECTOR_SIZE];
	struct landmark mark;
	struct stat status;
	size_t got;
	bool found;
	int fd;

	if (fstatat(folder, name, &status, 0) != 0 || !S_ISREG(status.st_mode))
		return false;
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return false;
	found = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
		io_pread(fd, first, sizeof(first), 0, &got) == 0 && got == sizeof(first) &&
		landmark_recognise(first, &mark) && mark.is_head && mark.format == FORMAT_VMAB;
	if (found)
		memcpy(uuid, mark.uuid, UUID_SIZE);
	close(fd);
	return found;
}

static int read_folder(struct look *look, DIR *entries, struct error *err)
{
	uint8_t uuid[UUID_SIZE];
	struct dirent *entry;

	while ((entry = readdir(entries)) != NULL) {
		if (entry->d_name[0] == '.' || !read_uuid(dirfd(entries), entry->d_name, uuid))
			continue;
		TRY(keep(&look->in_folder, text_make("%s/%s", look->folder, entry->d_name), uuid,
			 err));
	}
	return 0;
}

/* Takes over folder. */
static int look_in(struct look *look, char *folder, struct error *err)
{
	DIR *entries;
	int code;

	if (look->folder != NULL && strcmp(look->folder, folder) == 0) {
		free(folder);
		return 0;
	}
	free(look->folder);
	free_links(look->in_folder.links, look->in_folder.n);
	look->folder = folder;
	look->in_folder = (struct found){0};
	entries = opendir(folder);
	if (entries == NULL)
		return fail_system(err, errno, "folder %s", folder);
	code = read_folder(look, entries, err);
	closedir(entries);
	return code;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static const struct chain_link *by_uuid(const struct found *found, const uint8_t uuid[UUID_SIZE])
{
	for (unsigned i = 0; i < found->n; i++)
		if (same(found->links[i].uuid, uuid))
			return &found->links[i];
	return NULL;
}

/* Of several copies the first one whose head is good. */
static int find_in_folder(struct look *look, const struct chain_link *child, struct error *err)
{
	char uuid[UUID_TEXT_SIZE], *folder = folder_of(child->path);
	int code = 1;

	if (folder == NULL)
		return fail_memory(err);
	TRY(look_in(look, folder, err));
	for (unsigned i = 0; i < look->in_folder.n && code != 0; i++) {
		const struct chain_link *candidate = &look->in_folder.links[i];

		if (same(candidate->uuid, child->parent)) {
			*err = (struct error){0};
			code = add_named(&look->named, candidate->path, err);
		}
	}
	if (code <= 0)
		return code;
	return fail(err, ERR_SYSTEM, "%s: its parent %s is not in folder %s, nor named",
		    child->path, format_uuid(uuid, child->parent), look->folder);
}

static int find_parent(struct look *look, struct chain_link *link, struct error *err)
{
	const struct chain_link *parent = by_uuid(&look->named, link->parent);

	if (parent == NULL) {
		TRY(find_in_folder(look, link, err));
		parent = &look->named.links[look->named.n - 1];
	}
	*link = *parent;
	return 0;
}

static int append(struct chain *chain, const struct chain_link *link, struct error *err)
{
	struct chain_link *links = realloc(chain->links, (chain->n + 1) * sizeof(*chain->links));
	char *path = strdup(link->path);

	if (links != NULL)
		chain->links = links;
	if (links == NULL || path == NULL) {
		free(path);
		return fail_memory(err);
	}
	links[chain->n] = *link;
	links[chain->n++].path = path;
	return 0;
}

/* The chain of the first of the named archives. */
static int walk(struct chain *out, struct look *look, struct error *err)
{
	struct chain_link link = look->named.links[0]; /* borrows its path */

	for (;;) {
		for (unsigned i = 0; i < out->n; i++)
			if (same(out->links[i].uuid, link.uuid))
				return fail(err, ERR_DAMAGED,
					    "%s: its chain of parents is a circle", link.path);
		TRY(append(out, &link, err));
		if (is_full(&link))
			return 0;
		TRY(find_parent(look, &link, err));
	}
}

static int check_all_used(const struct chain *chain, const struct found *named, unsigned n_names,
			  struct error *err)
{
	for (unsigned i = 0, j; i < n_names; i++) {
		for (j = 0; j < chain->n && !same(named->links[i].uuid, chain->links[j].uuid); j++)
			;
		if (j == chain->n)
			return fail(err, ERR_USAGE,
				    "%s is no parent of %s: the archive that is wanted comes "
				    "first, and its parents after it, in any order",
				    named->links[i].path, chain->links[0].path);
		if (strcmp(named->links[i].path, chain->links[j].path) != 0)
			return fail(err, ERR_USAGE, "%s and %s are the same archive",
				    named->links[i].path, chain->links[j].path);
	}
	return 0;
}

int chain_find(struct chain *out, const struct strings *names, struct error *err)
{
	struct look look = {0};
	int code = 0;

	*out = (struct chain){0};
	for (unsigned i = 0; i < names->n && code == 0; i++)
		code = add_named(&look.named, names->items[i], err);
	if (code == 0)
		code = walk(out, &look, err);
	if (code == 0)
		code = check_all_used(out, &look.named, names->n, err);
	free_links(look.named.links, look.named.n);
	free_links(look.in_folder.links, look.in_folder.n);
	free(look.folder);
	return code;
}

int chain_check_drive(const struct chain *chain, const struct archive_drive *drive,
		      const struct cluster_set *held, struct error *err)
{
	uint64_t n = clusters_of(drive->size_bytes), run;
	char name[80];
	bool in = true;

	run = n == 0 ? 0 : cluster_set_run(held, 0, n, &in);
	if (in && run == n)
		return 0;
	return fail(err, ERR_INCOMPLETE, "%s: drive %s: cluster %llu is in no archive of the chain",
		    chain->links[0].path,
		    escape_text(name, sizeof(name), drive->name.bytes, drive->name.length),
		    (unsigned long long)(in ? run : 0));
}

bool chain_has_file(const struct chain *chain, const char *path)
{
	struct stat file;
	unsigned i = 0;

	if (stat(path, &file) != 0)
		return false;
	while (i < chain->n && !archive_is_file(chain->links[i].path, &file))
		i++;
	return i < chain->n;
}

void chain_free(struct chain *chain)
{
	free_links(chain->links, chain->n);
	*chain = (struct chain){0};
}

int chain_open(struct opened_archive *out, const struct chain *chain, unsigned link, uint64_t rate,
	       struct error *err)
{
	const struct chain_link *expected = &chain->links[link];

	TRY(archive_open(out, expected->path, rate, err));
	if (!same(out->archive->uuid, expected->uuid) ||
	    !same(out->archive->parent, expected->parent))
		return fail(err, ERR_SYSTEM, "%s: was replaced by another archive meanwhile",
			    expected->path);
	return 0;
}
