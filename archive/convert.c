#include "archive/convert.h"

#include "base/bytes.h"
#include "archive/feeds.h"
#include "base/sandbox.h"
#include "base/watcher.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_same_file(const char *from, const char *to)
{
	struct stat found;
	int code = strcmp(to, "-") == 0 ? fstat(STDOUT_FILENO, &found) : stat(to, &found);

	return code == 0 && archive_is_file(from, &found);
}

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

static int copy_head(struct convert *convert, const struct watcher *watcher, struct error *err)
{
	const struct archive *from = convert->opened.archive;
	struct archive *to = convert->create.archive;

	if (to->format == FORMAT_VMA1 && archive_is_incremental(from))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: is incremental, and VMA cannot hold that; write a .vmab",
			    convert->opened.name);
	if (to->format == FORMAT_VMAB && all_zero(from->uuid, UUID_SIZE))
		return fail(err, ERR_UNSUPPORTED, "%s: has no uuid, and VMAB demands one",
			    convert->opened.name);
	memcpy(to->uuid, from->uuid, UUID_SIZE);
	memcpy(to->parent, from->parent, UUID_SIZE);
	to->created_ns = from->created_ns;
	if (to->format == FORMAT_VMAB) {
		to->note = from->note;
		to->checkpoint = from->checkpoint;
		to->parent_checkpoint = from->parent_checkpoint;
	} else if (from->note.length > 0 || from->checkpoint.length > 0) {
		watcher_warn(watcher, "the %s is left out: VMA cannot store it",
			     from->note.length > 0 ? "note" : "name of the checkpoint");
	}
	copy_drives(&convert->create, from, watcher);
	return copy_configs(to, from, watcher, err);
}

/* All is open; the output is still to get its name. */
static int confine(const struct create *create, struct error *err)
{
	struct sandbox sandbox;

	sandbox_begin(&sandbox);
	sandbox_allow_file(&sandbox, create->name);
	return sandbox_enter(&sandbox, err);
}

int convert_run(struct convert *out, const char *name, const struct create_options *options,
		const struct watcher *watcher, struct error *err)
{
	struct feed_reader from;
	struct feed feed;

	*out = (struct convert){0};
	TRY(create_begin(&out->create, options, NULL, err));
	if (is_same_file(name, options->name))
		return fail(err, ERR_USAGE, "%s: is the archive to be read; write to another name",
			    name);
	TRY(archive_open(&out->opened, name, 0, err));
	TRY(copy_head(out, watcher, err));
	TRY(create_open(&out->create, watcher, err));
	TRY(confine(&out->create, err));
	from = (struct feed_reader){out->opened.reader, out->opened.input};
	feed = feed_of_reader(&from);
	return create_write(&out->create, &feed, watcher, err);
}

void convert_close(struct convert *convert)
{
	/* The configs belong to the archive that was read. */
	if (convert->create.archive != NULL)
		convert->create.archive->n_configs = 0;
	create_close(&convert->create);
	archive_close(&convert->opened);
}
