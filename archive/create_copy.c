#include "archive/create_copy.h"

#include "archive/chain.h"
#include "archive/open.h"
#include "base/bytes.h"
#include "base/changer.h"
#include "base/sandbox.h"
#include "base/watcher.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

/* The format alone knows which configs it can carry: each is checked as the only one of an archive.
 */
static int copy_configs(struct archive *to, const struct archive *from,
			const struct watcher *watcher, struct error *err)
{
	struct archive *probe = calloc(1, sizeof(*probe));
	int code = 0;

	if (probe == NULL)
		return fail_memory(err);
	memcpy(probe->uuid, from->uuid, UUID_SIZE);
	probe->format = to->format;
	probe->cluster_checksum = to->cluster_checksum;
	probe->n_configs = 1;
	for (uint32_t i = 0; i < from->n_configs && code == 0; i++) {
		struct error why = {0};

		probe->configs[0] = from->configs[i];
		code = archive_check(probe, &why);
		if (code == 0) {
			to->configs[to->n_configs++] = from->configs[i];
		} else if (code == ERR_USAGE) {
			watcher_warn(watcher, "left out: %s", why.text);
			code = 0;
		} else {
			*err = why;
		}
	}
	free(probe);
	return code;
}

static void copy_drives(struct create *create, const struct archive *from,
			const struct watcher *watcher)
{
	create->archive->n_drives = from->n_drives;
	for (uint32_t i = 0; i < from->n_drives; i++) {
		create->archive->drives[i] = from->drives[i];
		create_set_size(create, i, from->drives[i].size_bytes, watcher);
	}
}

int create_copy_head(struct create *create, const struct archive *from, const char *name,
		     const struct watcher *watcher, struct error *err)
{
	struct archive *to = create->archive;

	if (to->format == FORMAT_VMAB && all_zero(from->uuid, UUID_SIZE))
		return fail(err, ERR_UNSUPPORTED, "%s: has no uuid, and VMAB demands one", name);
	memcpy(to->uuid, from->uuid, UUID_SIZE);
	memcpy(to->parent, from->parent, UUID_SIZE);
	to->created_ns = from->created_ns;
	if (to->format == FORMAT_VMAB) {
		to->note = from->note;
		to->checkpoint = from->checkpoint;
		to->parent_checkpoint = from->parent_checkpoint;
		to->records = from->records;
	} else if (from->note.length > 0 || from->checkpoint.length > 0) {
		watcher_warn(watcher, "the %s is left out: VMA cannot store it",
			     from->note.length > 0 ? "note" : "name of the checkpoint");
	}
	copy_drives(create, from, watcher);
	return copy_configs(to, from, watcher, err);
}

/* Whether the object that is replaced is a parent: no folder tells where that is. */
static bool is_object_of(const struct chain *chain, const char *name)
{
	struct opened_archive old = {0};
	struct error ignored = {0};
	bool is = false;

	if (store_is_name(name) && archive_open(&old, name, 0, &ignored) == 0)
		for (unsigned i = 0; i < chain->n; i++)
			is = is ||
			     memcmp(chain->links[i].parent, old.archive->uuid, UUID_SIZE) == 0;
	archive_close(&old);
	return is;
}

int create_copy_check_parents(const struct create *create, const char *path, struct error *err)
{
	struct error ignored = {0};
	struct chain chain;
	struct stat file;
	bool needed;

	/* Parents that are missing here are not needed now. */
	chain_find(&chain, &(struct strings){&path, 1}, &ignored);
	needed = is_object_of(&chain, create->name);
	if (strcmp(create->name, "-") != 0 && stat(create->name, &file) == 0)
		for (unsigned i = 1; i < chain.n; i++)
			needed = needed || archive_is_file(chain.links[i].path, &file);
	chain_free(&chain);
	return needed ? fail(err, ERR_USAGE,
			     "%s: is a parent that the new archive needs; write to another name",
			     create->name)
		      : 0;
}

void create_copy_close(struct create *create)
{
	/* The configs belong to the archive that was read. */
	if (create->archive != NULL)
		create->archive->n_configs = 0;
	create_close(create);
}

int create_copy_confine(const struct create *create, bool reading, struct error *err)
{
	struct sandbox sandbox;

	sandbox_begin(&sandbox);
	if (reading || changer_may_change(create->name))
		sandbox_allow_reading(&sandbox);
	sandbox_allow_file(&sandbox, create->name);
	return sandbox_enter(&sandbox, err);
}
