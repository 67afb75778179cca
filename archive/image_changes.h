/*
 * What the source of a drive tells itself of the changes in it, as it was asked after its name:
 * ,bitmap=NAME   ,snapshot=NAME,since=NAME   ,reflink-of=FILE; and the bitmaps that a backup leaves
 * in images for the next one.
 */
#ifndef ARCHIVE_IMAGE_CHANGES_H
#define ARCHIVE_IMAGE_CHANGES_H

#include "archive/changes.h"

struct drive_suffix;
struct watcher;

struct image_source {
	const char *name; /* of the drive, for messages */
	const char *path;
	const struct drive_suffix *suffix;
};

/* ERR_USAGE: options that do not go together, or not with this image. shared: others may write to
 * it. */
int image_source_check(const struct image_source *source, bool shared, struct error *err);
/* Whether it is asked for changes. */
bool image_source_tells(const struct image_source *source);
bool image_source_is_qcow2(const struct image_source *source);

/* What it was asked for. *out is empty after a failure. */
int image_changes(struct changes *out, const struct image_source *source, struct error *err);
/* What the bitmap tells that the backup with this uuid left. 1: that; 0: there is none; negative:
 * it is of no use. */
int image_changes_tracked(struct changes *out, const struct image_source *source,
			  const uint8_t uuid[UUID_SIZE], struct error *err);

/* What the instant is called that is read now. tracked: the uuid of the archive, if it leaves a
 * bitmap, else NULL. *out: owned by the caller; NULL: it has no name. */
int image_token(char **out, const struct image_source *source, const uint8_t *tracked,
		struct error *err);

/* ---- bitmaps for the next backup ---- */

struct track;

/* Before anything is read: keeps these images, so that no QEMU can write to them. The sources, n of
 * them, are borrowed. Drives in which nothing can record are told to the watcher. */
int track_new(struct track **out, const struct image_source *sources, unsigned n,
	      const struct watcher *watcher, struct error *err);
/* This one is to be left as it is: the archive does not show an instant of it. */
void track_leave(struct track *track, unsigned i);
/* Once the archive is durable and the drives are closed: each image gets a bitmap named after the
 * archive. Then all others of ours are removed, so that images keep one; with keep_others only
 * those that are broken. The watcher is warned of what fails. Returns how many images record. */
unsigned track_record(struct track *track, const uint8_t uuid[UUID_SIZE], bool keep_others);
void track_free(struct track *track); /* NULL-safe */

#endif
