#include "archive/parent.h"

#include "archive/chain.h"
#include "archive/match.h"
#include "base/unnamed.h"
#include "base/watcher.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

static int get(void *context, void *state, uint32_t drive, uint64_t cluster, const uint8_t **sum,
	       uint64_t *n, struct error *err)
{
	static const uint8_t zeros[CHECKSUM_SIZE];
	const struct parent *parent = context;
	const struct archive *archive = sums_archive(parent->found.sums);
	uint32_t i = parent->drive_of[drive];
	uint64_t number = cluster / SUMS_PER_PAGE, n_empty, n_all;
	const uint8_t *page;

	*sum = NULL;
	*n = 1;
	n_all = i == archive->n_drives ? 0 : clusters_of(archive->drives[i].size_bytes);
	if (cluster >= n_all)
		return 0;
	TRY(sums_empty(parent->found.sums, state, i, number, &n_empty, err));
	if (n_empty > 0) {
		uint64_t end = (number + n_empty) * SUMS_PER_PAGE;
		*sum = zeros;
		*n = (end < n_all ? end : n_all) - cluster;
		return 0;
	}
	TRY(sums_page(parent->found.sums, state, i, number, &page, err));
	*sum = page + cluster % SUMS_PER_PAGE * CHECKSUM_SIZE;
	return 0;
}

/* Whether a uuid is that of the parent, or of an archive that it stands on: as far as its sums or
 * the folder tell. */
static bool is_ancestor(const struct parent *parent, const struct chain *chain,
			const uint8_t uuid[UUID_SIZE])
{
	const struct archive *of = sums_archive(parent->found.sums);
	bool is =
		memcmp(uuid, of->uuid, UUID_SIZE) == 0 || memcmp(uuid, of->parent, UUID_SIZE) == 0;

	for (unsigned i = 0; i < chain->n && !is; i++)
		is = memcmp(uuid, chain->links[i].uuid, UUID_SIZE) == 0;
	return is;
}

static bool is_at(const char *name, const char *output)
{
	struct stat file;

	if (store_is_name(output))
		return archive_is_object(name, output);
	return stat(output, &file) == 0 && archive_is_file(name, &file);
}

/* Whether an archive can be read there, without harm if it is something else. */
static bool may_be_read(const char *output)
{
	struct stat file;

	return store_is_name(output) ||
	       (stat(output, &file) == 0 && (S_ISREG(file.st_mode) || S_ISBLK(file.st_mode)));
}

/* Whether the archive that the new one takes the place of is needed to restore it. */
static bool takes_place(const struct parent *parent, const struct chain *chain, const char *name,
			const char *output)
{
	struct opened_archive old = {0};
	struct error ignored = {0};
	bool needed;

	if (strcmp(output, "-") == 0 || !may_be_read(output))
		return false;
	needed = is_at(name, output) || (archive_open(&old, output, 0, &ignored) == 0 &&
					 is_ancestor(parent, chain, old.archive->uuid));
	archive_close(&old);
	return needed;
}

static int check_new(const struct parent *parent, const struct strings *names,
		     const struct archive *archive, const char *output, struct error *err)
{
	const char *name = names->items[0];
	struct error ignored = {0};
	struct chain chain;
	int code = 0;

	/* Parents that are missing here are not needed now. */
	chain_find(&chain, names, &ignored);
	if (is_ancestor(parent, &chain, archive->uuid))
		code = fail(err, ERR_USAGE,
			    "--parent %s: it or one of its parents has the uuid of the new archive",
			    name);
	else if (takes_place(parent, &chain, name, output))
		code = fail(err, ERR_USAGE,
			    "%s: is --parent or one of its parents, which the new archive needs",
			    output);
	chain_free(&chain);
	return code;
}

/* A drive may have been renamed, or the parent be that of another machine. */
static void note_new_drives(const struct parent *parent, const struct archive *archive,
			    const struct watcher *watcher)
{
	char name[80];

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		const struct text *text = &archive->drives[i].name;

		if (parent->drive_of[i] == sums_archive(parent->found.sums)->n_drives)
			watcher_note(watcher,
				     "drive %s: the parent has no drive of that name: all of it is "
				     "stored",
				     escape_text(name, sizeof(name), text->bytes, text->length));
	}
}

static int find_parent(struct parent *out, const struct strings *names,
		       const struct archive *archive, const struct watcher *watcher,
		       struct error *err)
{
	out->drive_of = calloc(archive->n_drives + 1, sizeof(*out->drive_of));
	if (out->drive_of == NULL)
		return fail_memory(err);
	if (strcmp(names->items[0], "-") != 0)
		TRY(in_use_hold(&out->held, names->items[0], err));
	TRY(sums_find(&out->found, names, unnamed_folder(), watcher, err));
	if (sums_are_loose(out->found.sums))
		return fail(err, ERR_USAGE,
			    "--parent %s: are sums of a copy, not of an archive: nothing could be "
			    "restored from an increment",
			    names->items[0]);
	return 0;
}

static int match(struct parent *out, const struct archive *archive, struct error *err)
{
	const struct archive *of = sums_archive(out->found.sums);

	TRY(match_drives(archive, of, out->drive_of, err));
	out->marks = calloc(of->n_drives + 1, sizeof(*out->marks));
	if (out->marks == NULL)
		return fail_memory(err);
	drive_marks_read(of, out->marks);
	out->sums = (struct parent_sums){out, sizeof(struct sums_cursor), get};
	return 0;
}

int parent_open(struct parent *out, const struct strings *names, struct archive *archive,
		const char *output, const struct watcher *watcher, struct error *err)
{
	const struct archive *of;

	if (archive->format != FORMAT_VMAB)
		return fail(err, ERR_USAGE, "--parent: VMA has no increments, VMAB does");
	TRY(find_parent(out, names, archive, watcher, err));
	of = sums_archive(out->found.sums);
	TRY(check_new(out, names, archive, output, err));
	memcpy(archive->parent, of->uuid, UUID_SIZE);
	archive->parent_checkpoint = of->checkpoint;
	TRY(match(out, archive, err));
	note_new_drives(out, archive, watcher);
	return 0;
}

/* ---- sums that nothing is made of ---- */

static int find_drive(const struct archive *of, const char *name, const char *path, uint32_t *out,
		      struct error *err)
{
	if (name == NULL && of->n_drives != 1)
		return fail(err, ERR_USAGE, "%s: has %u drives: which one? NAME=%s", path,
			    of->n_drives, path);
	for (uint32_t i = 0; i < of->n_drives; i++) {
		const struct text *text = &of->drives[i].name;

		*out = i;
		if (name == NULL ||
		    (strlen(name) == text->length && memcmp(name, text->bytes, text->length) == 0))
			return 0;
	}
	return fail(err, ERR_USAGE, "%s: has no drive '%s'", path, name);
}

int parent_open_drive(struct parent *out, const struct strings *names, const char *drive,
		      const struct watcher *watcher, struct error *err)
{
	out->drive_of = calloc(1, sizeof(*out->drive_of));
	if (out->drive_of == NULL)
		return fail_memory(err);
	TRY(sums_find(&out->found, names, unnamed_folder(), watcher, err));
	out->sums = (struct parent_sums){out, sizeof(struct sums_cursor), get};
	return find_drive(sums_archive(out->found.sums), drive, names->items[0], out->drive_of,
			  err);
}

int parent_compare(struct parent *out, const struct strings *names, const struct archive *archive,
		   const struct watcher *watcher, struct error *err)
{
	TRY(find_parent(out, names, archive, watcher, err));
	return match(out, archive, err);
}

uint64_t parent_drive_size(const struct parent *parent, uint32_t drive)
{
	const struct archive *of = sums_archive(parent->found.sums);
	uint32_t i = parent->drive_of[drive];

	return i == of->n_drives ? 0 : of->drives[i].size_bytes;
}

int parent_copy_sums(const struct parent *parent, struct sums_writer *to, uint32_t drive,
		     uint64_t cluster, uint64_t n_clusters, struct error *err)
{
	const struct sums *from = parent->found.sums;
	uint32_t of = parent->drive_of[drive];
	struct sums_cursor cursor = {0};
	uint64_t n_empty, n;
	const uint8_t *page;

	for (; n_clusters > 0; cluster += n, n_clusters -= n) {
		uint64_t number = cluster / SUMS_PER_PAGE, first = cluster % SUMS_PER_PAGE;

		TRY(sums_empty(from, &cursor, of, number, &n_empty, err));
		n = (n_empty > 0 ? n_empty : 1) * SUMS_PER_PAGE - first;
		n = n < n_clusters ? n : n_clusters;
		if (n_empty > 0)
			continue;
		TRY(sums_page(from, &cursor, of, number, &page, err));
		TRY(sums_put_run(to, drive, cluster, page + first * CHECKSUM_SIZE, n, err));
	}
	return 0;
}

void parent_close(struct parent *parent)
{
	in_use_end(&parent->held);
	found_sums_close(&parent->found);
	free(parent->drive_of);
	free(parent->marks);
	*parent = (struct parent){0};
}
