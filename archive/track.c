#include "archive/image_changes.h"

#include "archive/changes_qcow2.h"
#include "base/track_name.h"
#include "base/watcher.h"
#include "drive/argument.h"
#include "drive/bitmaps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAVERS_MAX 16u /* bitmaps that are removed of one image at a time */

struct tracked {
	const struct image_source *source; /* borrowed */
	struct kept_image *image;	   /* NULL: nothing records in it */
};

struct track {
	const struct watcher *watcher;
	unsigned n;
	struct tracked drives[];
};

/* Whether bitmaps can be put into the image. */
static int check_image(const struct image_source *source, struct error *err)
{
	struct qcow2_file file;
	int code = qcow2_file_open(&file, source->path, err);

	if (code == 0 && file.head.version < 3)
		code = fail(err, ERR_UNSUPPORTED,
			    "%s: qcow2 images of compat=0.10 have no bitmaps: qemu-img amend -o "
			    "compat=1.1 changes that",
			    source->path);
	qcow2_file_close(&file);
	return code;
}

static int keep(struct track *track, struct tracked *tracked, struct error *err)
{
	const struct image_source *source = tracked->source;

	if (source->suffix->snapshot != NULL)
		return fail(err, ERR_USAGE,
			    "drive %s: --track is for the drive as it is now, and not for "
			    ",snapshot=",
			    source->name);
	if (!image_source_is_qcow2(source)) {
		watcher_note(
			track->watcher,
			"drive %s: nothing can record its changes: --track is for qcow2 images",
			source->name);
		return 0;
	}
	TRY(check_image(source, err));
	return kept_image_open(&tracked->image, source->path, source->suffix->secret, err);
}

int track_new(struct track **out, const struct image_source *sources, unsigned n,
	      const struct watcher *watcher, struct error *err)
{
	struct track *track = calloc(1, sizeof(*track) + n * sizeof(track->drives[0]));
	int code = 0;

	if (track == NULL)
		return fail_memory(err);
	track->watcher = watcher;
	for (; track->n < n && code == 0; track->n++) {
		track->drives[track->n].source = &sources[track->n];
		code = keep(track, &track->drives[track->n], err);
	}
	if (code != 0)
		track_free(track);
	else
		*out = track;
	return code;
}

void track_free(struct track *track)
{
	if (track == NULL)
		return;
	for (unsigned i = 0; i < track->n; i++)
		kept_image_close(track->drives[i].image);
	free(track);
}

/* ---- after the backup ---- */

/* That the image now has a bitmap that records, and of nothing yet. */
static int check_new(const struct tracked *tracked, const uint8_t uuid[UUID_SIZE],
		     struct error *err)
{
	struct changes changes;
	int code = image_changes_tracked(&changes, tracked->source, uuid, err);

	if (code == 1 && changes.n_clusters > 0)
		code = fail(err, ERR_SYSTEM, "%s: the new bitmap is not empty",
			    tracked->source->path);
	if (code == 0)
		code = fail(err, ERR_SYSTEM, "%s: the new bitmap is not in it",
			    tracked->source->path);
	changes_free(&changes);
	return code < 0 ? code : 0;
}

/* Names of bitmaps of ours that are to go. */
struct leavers {
	char stays[TRACK_NAME_SIZE];
	bool broken_only;
	char names[LEAVERS_MAX][TRACK_NAME_SIZE];
	unsigned n;
};

static void note_leaver(void *context, const struct qcow2_bitmap *bitmap)
{
	struct leavers *leavers = context;
	char *name = leavers->names[leavers->n];

	if (leavers->n == LEAVERS_MAX - 1 || bitmap->name.length >= TRACK_NAME_SIZE)
		return;
	memcpy(name, bitmap->name.bytes, bitmap->name.length);
	name[bitmap->name.length] = '\0';
	if (track_name_is_ours(name) && strcmp(name, leavers->stays) != 0 &&
	    ((bitmap->flags & QCOW2_BITMAP_IN_USE) || !leavers->broken_only))
		leavers->n++;
}

static int remove_old(const struct tracked *tracked, struct leavers *leavers, struct error *err)
{
	struct qcow2_file file;
	int code = qcow2_file_open(&file, tracked->source->path, err);

	if (code == 0)
		code = qcow2_file_bitmaps(&file, note_leaver, leavers, err);
	qcow2_file_close(&file);
	for (unsigned i = 0; i < leavers->n && code == 0; i++)
		code = kept_image_remove_bitmap(tracked->image, leavers->names[i], err);
	return code;
}

static bool record(const struct track *track, const struct tracked *tracked,
		   const uint8_t uuid[UUID_SIZE], struct leavers *leavers)
{
	const struct image_source *source = tracked->source;
	char name[TRACK_NAME_SIZE];
	struct error err = {0};

	if (kept_image_add_bitmap(tracked->image, track_name(name, uuid), &err) < 0 ||
	    check_new(tracked, uuid, &err) < 0) {
		watcher_warn(track->watcher,
			     "drive %s: nothing records what changes from now on, so the next "
			     "increment reads all of it: %s",
			     source->name, err.text);
		return false;
	}
	if (remove_old(tracked, leavers, &err) < 0)
		watcher_warn(track->watcher, "drive %s: an old bitmap is left: %s", source->name,
			     err.text);
	return true;
}

void track_leave(struct track *track, unsigned i)
{
	struct tracked *tracked = &track->drives[i];

	if (tracked->image != NULL)
		watcher_warn(track->watcher,
			     "drive %s: nothing records what changes from now on, as it changed "
			     "while it was read",
			     tracked->source->name);
	kept_image_close(tracked->image);
	tracked->image = NULL;
}

unsigned track_record(struct track *track, const uint8_t uuid[UUID_SIZE], bool keep_others)
{
	unsigned n = 0;

	for (unsigned i = 0; i < track->n; i++) {
		struct leavers leavers = {.broken_only = keep_others};

		if (track->drives[i].image == NULL)
			continue;
		track_name(leavers.stays, uuid);
		n += record(track, &track->drives[i], uuid, &leavers);
	}
	return n;
}
