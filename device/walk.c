/*
 * Memory: the entries of the folders on the way, which are bounded, and of each folder and each
 * file of more than one name its number. Folders that are met twice, as in a broken file system,
 * are not entered again: so it ends.
 */
#include "device/walk.h"

#include "base/io.h"
#include "base/watcher.h"
#include "device/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 200u /* one descriptor each */

struct known {
	uint64_t id;
	char *path; /* of a file, in the tree; owned */
};

struct walk {
	const struct walk_options *options;
	struct walk_counts *counts;
	void *known;	/* a tree of tsearch(3) of struct known */
	size_t n_root;	/* bytes of the path of the folder where it began */
	size_t n_names; /* of the folders on the way */
	unsigned depth;
};

struct out {
	int fd;
	uint64_t at;
	int sys; /* why it cannot be written */
};

/* ---- one file ---- */

static bool is_zero(const uint8_t *bytes, size_t n)
{
	return *bytes == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static int take(void *context, const void *bytes, size_t n)
{
	struct out *out = context;

	if (!is_zero(bytes, n))
		out->sys = io_pwrite(out->fd, bytes, n, out->at, 0);
	out->at += n;
	return out->sys;
}

static int copy(const struct entry_reader *reader, const char *path, const struct file_entry *entry,
		struct out *out, struct error *err)
{
	const struct entry_sink sink = {take, out};

	TRY(reader->read(reader->context, path, entry, &sink, err));
	if (out->at != entry->size_bytes)
		return fail(err, ERR_SYSTEM, "%" PRIu64 " bytes of %" PRIu64 " can be read",
			    out->at, entry->size_bytes);
	if (ftruncate(out->fd, (off_t)out->at) == 0)
		return 0;
	out->sys = errno;
	return fail_system(err, out->sys, "writing it");
}

static int set_attributes(struct walk_counts *counts, int fd, const char *name,
			  const struct file_entry *entry, struct error *err)
{
	bool owner_lost;
	int sys = tree_set_attributes(fd, name, entry, &owner_lost);

	counts->n_owners += owner_lost;
	return sys == 0 ? 0 : fail_system(err, sys, "setting its mode or time");
}

int walk_file(struct walk_counts *counts, const struct entry_reader *reader, const char *path,
	      const struct file_entry *entry, int fd, struct error *err)
{
	struct out out = {.fd = fd};

	TRY(copy(reader, path, entry, &out, err));
	counts->n_files++;
	counts->bytes += out.at;
	return set_attributes(counts, fd, NULL, entry, err);
}

/* ---- what was met ---- */

static int compare(const void *one, const void *other)
{
	uint64_t a = ((const struct known *)one)->id, b = ((const struct known *)other)->id;

	return a < b ? -1 : a > b;
}

static struct known *find_known(const struct walk *walk, uint64_t id)
{
	const struct known wanted = {.id = id};
	void *found = tfind(&wanted, &walk->known, compare);

	return found != NULL ? *(struct known **)found : NULL;
}

static int add_known(struct walk *walk, uint64_t id, const char *path, struct error *err)
{
	struct known *new = calloc(1, sizeof(*new));

	if (new != NULL && path != NULL)
		new->path = strdup(path);
	if (new != NULL)
		new->id = id;
	if (new != NULL && (path == NULL || new->path != NULL) &&
	    tsearch(new, &walk->known, compare) != NULL)
		return 0;
	if (new != NULL)
		free(new->path);
	free(new);
	return fail_memory(err);
}

static void free_known(void *known)
{
	free(((struct known *)known)->path);
	free(known);
}

/* ---- the walk ---- */

static void tell(const struct walk *walk, const char *path, const char *why)
{
	char clean[600];

	watcher_warn(walk->options->watcher, "%.300s:%s: %.400s", walk->options->place,
		     escape_text(clean, sizeof(clean), (const uint8_t *)path, strlen(path)), why);
}

/* One thing could not be had; the rest may. */
static int lose(struct walk *walk, const char *path, const struct error *why)
{
	walk->counts->n_failed++;
	tell(walk, path, why->text);
	return 0;
}

static int lose_system(struct walk *walk, const char *path, int sys)
{
	struct error why = {0};

	fail_system(&why, sys, "cannot be made");
	return lose(walk, path, &why);
}

/* Of the host, and so of all that comes, too. */
static bool is_fatal(int sys)
{
	return sys == ENOSPC || sys == EDQUOT || sys == EROFS || sys == EIO || sys == ENOMEM;
}

static int fill_file(struct walk *walk, int folder, const char *path,
		     const struct file_entry *entry, struct error *err)
{
	const struct walk_options *options = walk->options;
	struct error why = {0};
	struct out out = {0};
	int sys = tree_make_file(folder, entry->name, &out.fd), code;

	if (sys != 0)
		return is_fatal(sys) ? fail_system(err, sys, "%.500s", path)
				     : lose_system(walk, path, sys);
	if (entry->size_bytes > options->most_bytes)
		code = fail(&why, ERR_UNSUPPORTED,
			    "is longer than %" PRIu64 " bytes; --max-size "
			    "SIZE allows more",
			    options->most_bytes);
	else
		code = copy(options->reader, path, entry, &out, &why);
	if (code == 0)
		code = set_attributes(walk->counts, out.fd, NULL, entry, &why);
	if (close(out.fd) != 0 && code == 0) {
		out.sys = errno;
		code = fail_system(&why, errno, "writing it");
	}
	if (code == 0) {
		walk->counts->n_files++;
		walk->counts->bytes += out.at;
		return 0;
	}
	tree_remove_file(folder, entry->name);
	if (out.sys == 0)
		return lose(walk, path, &why);
	return fail_system(err, out.sys, "%.500s", path);
}

/* A file of several names is made once. */
static int make_file(struct walk *walk, int folder, const char *path,
		     const struct file_entry *entry, struct error *err)
{
	bool several = entry->id != 0 && entry->n_links > 1;
	struct known *first = several ? find_known(walk, entry->id) : NULL;
	const char *inside = path + walk->n_root + 1;
	uint64_t n_before = walk->counts->n_files;

	if (first != NULL && first->path != NULL &&
	    tree_make_name(walk->options->tree, first->path, folder, entry->name) == 0) {
		walk->counts->n_files++;
		return 0;
	}
	TRY(fill_file(walk, folder, path, entry, err));
	return several && first == NULL && walk->counts->n_files > n_before
		       ? add_known(walk, entry->id, inside, err)
		       : 0;
}

static int make_link(struct walk *walk, int folder, const char *path,
		     const struct file_entry *entry, const char *target)
{
	struct error why = {0};
	int sys = tree_make_link(folder, entry->name, target);

	if (sys != 0)
		return lose_system(walk, path, sys);
	walk->counts->n_links++;
	return set_attributes(walk->counts, folder, entry->name, entry, &why) == 0
		       ? 0
		       : lose(walk, path, &why);
}

static int fill_folder(struct walk *walk, int folder, const char *path,
		       const struct file_entry *from, struct error *err);

static int make_folder(struct walk *walk, int folder, const char *path,
		       const struct file_entry *entry, struct error *err)
{
	struct error why = {0};
	int fd, sys, code;

	if (walk->depth == DEPTH_MAX || (entry->id != 0 && find_known(walk, entry->id) != NULL)) {
		fail(&why, ERR_SYSTEM, "%s",
		     walk->depth == DEPTH_MAX ? "folders in folders, too many"
					      : "a folder that was met before");
		return lose(walk, path, &why);
	}
	sys = tree_make_folder(folder, entry->name, &fd);
	if (sys != 0)
		return is_fatal(sys) ? fail_system(err, sys, "%.500s", path)
				     : lose_system(walk, path, sys);
	walk->depth++;
	code = fill_folder(walk, fd, path, entry, err);
	walk->depth--;
	if (code == 0 && set_attributes(walk->counts, fd, NULL, entry, &why) != 0)
		lose(walk, path, &why);
	close(fd);
	return code;
}

static int make_one(struct walk *walk, int folder, const char *path, struct file_entry *entry,
		    struct error *err)
{
	const struct entry_reader *reader = walk->options->reader;
	char target[ENTRY_LINK_MAX];
	struct error why = {0};

	if (reader->look(reader->context, entry, target, &why) != 0)
		return lose(walk, path, &why);
	switch (entry->kind) {
	case ENTRY_FILE:
		return make_file(walk, folder, path, entry, err);
	case ENTRY_FOLDER:
		return make_folder(walk, folder, path, entry, err);
	case ENTRY_LINK:
		return make_link(walk, folder, path, entry, target);
	default:
		walk->counts->n_left++;
		tell(walk, path, "left out: a device, a socket or a pipe");
		return 0;
	}
}

static void tell_unread(struct walk *walk, const char *path, const struct entries *entries)
{
	char why[500], clean[300];

	if (entries->n_unusable > 0) {
		walk->counts->n_failed += entries->n_unusable;
		snprintf(why, sizeof(why), "%" PRIu64 " of its names cannot be that of a file",
			 entries->n_unusable);
		tell(walk, path, why);
	}
	if (entries->unread == NULL)
		return;
	walk->counts->n_left++;
	snprintf(why, sizeof(why),
		 "left out: %s: links to folders or to nothing, devices, or what cannot be read",
		 escape_text(clean, sizeof(clean), (const uint8_t *)entries->unread,
			     strlen(entries->unread)));
	tell(walk, path, why);
}

static int fill_folder(struct walk *walk, int folder, const char *path,
		       const struct file_entry *from, struct error *err)
{
	const struct entry_reader *reader = walk->options->reader;
	size_t most = walk->options->most_names != 0 ? walk->options->most_names : WALK_NAMES;
	struct entries entries = {.most = most - walk->n_names};
	struct error why = {0};
	int code = from->id != 0 ? add_known(walk, from->id, NULL, err) : 0;

	if (code != 0)
		return code;
	walk->counts->n_folders++;
	if (entries.most == 0)
		fail(&why, ERR_UNSUPPORTED, "too many names in the folders above it");
	else
		reader->list(reader->context, path, from->id, &entries, &why);
	if (why.code != 0)
		lose(walk, path, &why);
	walk->n_names += entries.n;
	tell_unread(walk, path, &entries);
	for (size_t i = 0; i < entries.n && code == 0; i++) {
		bool is_root = path[0] == '/' && path[1] == '\0';
		char *one = text_make("%s/%s", is_root ? "" : path, entries.of[i].name);

		code = one == NULL ? fail_memory(err)
				   : make_one(walk, folder, one, &entries.of[i], err);
		free(one);
	}
	walk->n_names -= entries.n;
	entries_free(&entries);
	return code;
}

int walk_folder(struct walk_counts *counts, const struct walk_options *options, const char *path,
		const struct file_entry *from, struct error *err)
{
	struct walk walk = {.options = options, .counts = counts};
	struct error why = {0};
	int fd, sys = tree_root(options->tree, &fd), code;

	walk.n_root = strcmp(path, "/") == 0 ? 0 : strlen(path);
	*counts = (struct walk_counts){0};
	if (sys != 0)
		return fail_system(err, sys, "%.500s", tree_folder(options->tree));
	code = fill_folder(&walk, fd, path, from, err);
	if (code == 0 && set_attributes(counts, fd, NULL, from, &why) != 0)
		lose(&walk, path, &why);
	close(fd);
	tdestroy(walk.known, free_known);
	return code;
}
