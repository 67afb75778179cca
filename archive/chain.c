#include "archive/chain.h"

#include "archive/chain_folder.h"
#include "base/parse.h"
#include "reader/reader.h"
#include "store/store.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Folders are kept, as the archives of a chain mostly lie in one. */
struct look {
	bool streams; /* pipes are allowed */
	bool missing; /* a parent is not there */
	bool unread;  /* it may be in a file that cannot be read */
	struct found named;
	struct chain_folder *folders; /* owned */
	unsigned n_folders;	      /* those that were named come first */
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

/* A chain's archives are mostly opened more than once. */
static int check_name(const char *name, struct error *err)
{
	if (archive_is_stream(name))
		return fail(err, ERR_USAGE,
			    strcmp(name, "-") == 0
				    ? "an archive of a chain is read from a file, not from "
				      "standard input"
				    : "%s: an archive of a chain is read from a file, not from a "
				      "pipe or tape",
			    name);
	return 0;
}

/* Its name is the link's. */
static int keep_stream(struct chain_link *link, struct opened_archive *opened, struct error *err)
{
	link->stream = malloc(sizeof(*link->stream));
	if (link->stream == NULL)
		return fail_memory(err);
	*link->stream = *opened;
	link->stream->name = link->path;
	*opened = (struct opened_archive){0};
	return 0;
}

/* What is named must be an archive. */
static int add_named(struct look *look, const char *name, struct error *err)
{
	struct opened_archive opened = {0};
	struct chain_link *link;
	bool once = look->streams && archive_is_stream(name);
	int code = once ? 0 : check_name(name, err);

	if (code == 0)
		code = archive_open(&opened, name, 0, err);
	if (code == 0 && opened.archive->format != FORMAT_VMAB)
		code = fail(err, ERR_USAGE,
			    "%s: is a VMA archive, which has no parents and no sums", name);
	if (code == 0)
		code = found_keep(&look->named, strdup(name), opened.archive->uuid, err);
	else
		error_in_file(err, name);
	if (code == 0) {
		link = &look->named.links[look->named.n - 1];
		memcpy(link->parent, opened.archive->parent, UUID_SIZE);
		code = once ? keep_stream(link, &opened, err) : 0;
	}
	archive_close(&opened);
	return code;
}

/* Takes over path. *number: of the folder in look. */
static int add_folder(struct look *look, char *path, unsigned *number, struct error *err)
{
	struct chain_folder *folders = look->folders;

	for (unsigned i = 0; path != NULL && i < look->n_folders; i++) {
		if (strcmp(look->folders[i].path, path) == 0) {
			free(path);
			*number = i;
			return 0;
		}
	}
	if (path != NULL)
		folders = realloc(look->folders, (look->n_folders + 1) * sizeof(*folders));
	if (path == NULL || folders == NULL) {
		free(path);
		return fail_memory(err);
	}
	look->folders = folders;
	*number = look->n_folders;
	folders[look->n_folders++] = (struct chain_folder){.path = path};
	return 0;
}

/* That of this archive, if it is one that lies anywhere. */
static int add_folder_beside(struct look *look, const char *path, struct error *err)
{
	unsigned number;

	if (archive_is_stream(path) || store_is_web(path))
		return 0;
	return add_folder(look, chain_folder_of(path), &number, err);
}

static void free_look(struct look *look)
{
	found_free(&look->named);
	for (unsigned i = 0; i < look->n_folders; i++)
		chain_folder_free(&look->folders[i]);
	free(look->folders);
}

static bool is_known(const struct look *look, const uint8_t uuid[UUID_SIZE])
{
	bool known = found_by_uuid(&look->named, uuid) != NULL;

	for (unsigned i = 0; i < look->n_folders && !known; i++)
		known = found_by_uuid(&look->folders[i].archives, uuid) != NULL;
	return known;
}

static bool has_end(const struct chain_link *link)
{
	struct opened_archive opened = {0};
	struct error ignored = {0};
	struct totals totals;
	bool has = archive_open(&opened, link->path, 0, &ignored) == 0 &&
		   reader_find_tail(opened.reader, opened.input, &totals, &ignored) >= 0;

	archive_close(&opened);
	return has;
}

/* Of archives with the same uuid: copies may have been cut short, and a merged one stands for the
 * newest it was made of. */
static int rank(const struct look *look, const struct chain_link *link)
{
	if (!has_end(link))
		return 0;
	return is_full(link) ? 3 : is_known(look, link->parent) ? 2 : 1;
}

/* Adds those of the folder with that uuid whose heads are good, and chooses one. 1: there is none.
 */
static int choose(struct look *look, unsigned number, const struct chain_link *child, unsigned *out,
		  struct error *err)
{
	const uint8_t *uuid = child->parent;
	const struct chain_folder *folder = &look->folders[number];
	struct error last = {.code = 1};
	bool found = false;

	TRY(chain_folder_look(&look->folders[number], child->path, uuid, err));
	for (unsigned i = 0; i < folder->archives.n; i++) {
		const struct chain_link *candidate = &folder->archives.links[i];
		struct error why = {0};
		unsigned n = look->named.n;

		if (!same(candidate->uuid, uuid))
			continue;
		if (add_named(look, candidate->path, &why) != 0) {
			last = why;
		} else if (!found || rank(look, &look->named.links[n]) >
					     rank(look, &look->named.links[*out])) {
			found = true;
			*out = n;
		}
	}
	if (found)
		return 0;
	if (last.code < 0)
		*err = last;
	return last.code;
}

/* No folder has it, of which that of the child, if it has one, has this number. */
static int fail_missing(struct look *look, const char *path, const char *wanted, unsigned own,
			struct error *err)
{
	look->missing = true;
	if (store_is_web(path))
		fail(err, ERR_SYSTEM, "%s: its parent %s is not named: give it as another ARCHIVE",
		     path, wanted);
	else
		fail(err, ERR_SYSTEM,
		     "%s: its parent %s is not in folder %s, nor named: give the file that has it "
		     "as another ARCHIVE, or its folder as --parents DIR",
		     path, wanted, look->folders[own].path);
	for (unsigned i = 0; i < look->n_folders && !look->unread; i++) {
		look->unread = look->folders[i].unread.code != 0;
		if (look->unread)
			fail(err, ERR_SYSTEM, "%s: its parent %s is not found; unreadable is %s",
			     path, wanted, look->folders[i].unread.text);
	}
	return err->code;
}

/* In the child's folder, if it is a file, those that were named, and those of other archives. */
static int find_in_folders(struct look *look, const struct chain_link *child, unsigned *out,
			   struct error *err)
{
	struct chain_link of = *child; /* more may be added to where it is */
	char wanted[UUID_TEXT_SIZE];
	unsigned own = UINT_MAX;
	int code = 1, later;

	format_uuid(wanted, of.parent);
	if (look->streams && archive_is_stream(of.path))
		return fail(err, ERR_USAGE,
			    "%s: its parent %s is not named: name the parents of an archive that "
			    "comes through a pipe",
			    of.path, wanted);
	if (!store_is_web(of.path)) {
		TRY(add_folder(look, chain_folder_of(of.path), &own, err));
		code = choose(look, own, &of, out, err);
	}
	for (unsigned i = 0, n = look->named.n; i < n && code != 0; i++)
		TRY(add_folder_beside(look, look->named.links[i].path, err));
	for (unsigned i = 0; i < look->n_folders && code != 0; i++) {
		later = i == own ? 1 : choose(look, i, &of, out, err);
		code = later == 1 ? code : later;
	}
	return code <= 0 ? code : fail_missing(look, of.path, wanted, own, err);
}

static int find_parent(struct look *look, unsigned *at, struct error *err)
{
	const struct chain_link *child = &look->named.links[*at];
	const struct chain_link *parent = found_by_uuid(&look->named, child->parent);

	if (parent == NULL)
		return find_in_folders(look, child, at, err);
	*at = (unsigned)(parent - look->named.links);
	return 0;
}

/* Takes over its stream. */
static int append(struct chain *chain, struct chain_link *link, struct error *err)
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
	links[chain->n].path = path;
	if (link->stream != NULL)
		link->stream->name = path;
	link->stream = NULL;
	chain->n++;
	return 0;
}

/* The chain of the first of the named archives; with n_enough, until it has so many of them. */
static int walk(struct chain *out, struct look *look, unsigned n_names, unsigned n_enough,
		struct error *err)
{
	unsigned at = 0, n_used = 0;
	int code;

	for (;;) {
		struct chain_link *link = &look->named.links[at];

		for (unsigned i = 0; i < out->n; i++)
			if (same(out->links[i].uuid, link->uuid))
				return fail(err, ERR_DAMAGED,
					    "%s: its chain of parents is a circle", link->path);
		TRY(append(out, link, err));
		n_used += at < n_names;
		if (is_full(&out->links[out->n - 1]) || n_used == n_enough)
			return 0;
		code = find_parent(look, &at, err);
		out->parent_missing = code == ERR_SYSTEM && look->missing;
		out->parent_unread = look->unread;
		TRY(code);
	}
}

static int check_all_used(const struct chain *chain, const struct found *named, unsigned n_names,
			  struct error *err)
{
	for (unsigned i = 0, j; i < n_names; i++) {
		const struct chain_link *link = &named->links[i];

		for (j = 0; j < i; j++)
			if (same(link->uuid, named->links[j].uuid))
				return fail(err, ERR_USAGE, "%s and %s are the same archive",
					    named->links[j].path, link->path);
		for (j = 0; j < chain->n && !same(link->uuid, chain->links[j].uuid); j++)
			;
		if (j == chain->n)
			return fail(err, ERR_USAGE,
				    "%s is no parent of %s: the archive that is wanted comes "
				    "first, and its parents after it, in any order",
				    link->path, chain->links[0].path);
	}
	return 0;
}

/* A folder is one where parents are looked for. */
static int add_name(struct look *look, const char *name, struct error *err)
{
	struct stat status;
	unsigned number;

	if (look->named.n == 0 || strcmp(name, "-") == 0 ||
	    (!shelf_is_prefix(name) && (stat(name, &status) != 0 || !S_ISDIR(status.st_mode))))
		return add_named(look, name, err);
	TRY(add_folder(look, shelf_path(name), &number, err));
	return 0;
}

/* part: with several archives the oldest of them is the last. */
static int find(struct chain *out, struct look *look, const struct strings *names, bool part,
		struct error *err)
{
	unsigned n_named;
	int code = 0;

	*out = (struct chain){0};
	if (!archive_is_stream(names->items[0]))
		code = in_use_hold(&out->newest, names->items[0], err);
	for (unsigned i = 0; i < names->n && code == 0; i++)
		code = add_name(look, names->items[i], err);
	n_named = look->named.n;
	if (code == 0)
		code = walk(out, look, n_named, part && n_named > 1 ? n_named : 0, err);
	if (code == 0)
		code = check_all_used(out, &look->named, n_named, err);
	free_look(look);
	return code;
}

int chain_find(struct chain *out, const struct strings *names, struct error *err)
{
	return find(out, &(struct look){0}, names, false, err);
}

int chain_find_once(struct chain *out, const struct strings *names, bool part, struct error *err)
{
	*out = (struct chain){0};
	TRY(archive_check_names(names, err));
	return find(out, &(struct look){.streams = true}, names, part, err);
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
	found_free(&(struct found){.links = chain->links, .n = chain->n});
	in_use_end(&chain->newest);
	*chain = (struct chain){0};
}

int chain_open(struct opened_archive *out, const struct chain *chain, unsigned link, uint64_t rate,
	       struct error *err)
{
	struct chain_link *expected = &chain->links[link];

	if (expected->stream != NULL) {
		*out = *expected->stream;
		free(expected->stream);
		expected->stream = NULL;
		return 0;
	}
	TRY(archive_open(out, expected->path, rate, err));
	if (!same(out->archive->uuid, expected->uuid) ||
	    !same(out->archive->parent, expected->parent))
		return fail(err, ERR_SYSTEM, "%s: was replaced by another archive meanwhile",
			    expected->path);
	return 0;
}
