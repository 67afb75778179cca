#include "archive/image_changes.h"

#include "archive/changes_qcow2.h"
#include "archive/changes_reflink.h"
#include "base/track_name.h"
#include "drive/argument.h"
#include "drive/qemuimg.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *format_of(const struct image_source *source)
{
	return image_format_given(source->path, source->suffix->format, source->suffix->secret);
}

bool image_source_is_qcow2(const struct image_source *source)
{
	return strcmp(format_of(source), "qcow2") == 0;
}

bool image_source_tells(const struct image_source *source)
{
	const struct drive_suffix *suffix = source->suffix;

	return suffix->bitmap != NULL || suffix->since != NULL || suffix->reflink_of != NULL;
}

int image_source_check(const struct image_source *source, bool shared, struct error *err)
{
	const struct drive_suffix *suffix = source->suffix;
	bool of_qcow2 = suffix->bitmap != NULL || suffix->since != NULL;

	if ((suffix->bitmap != NULL) + (suffix->since != NULL) + (suffix->reflink_of != NULL) > 1 ||
	    (suffix->snapshot != NULL && suffix->bitmap != NULL))
		return fail(err, ERR_USAGE,
			    "drive %s: only one of ,bitmap= ,since= and ,reflink-of= can tell what "
			    "changed, and a bitmap tells nothing about a snapshot",
			    source->name);
	if (of_qcow2 && !image_source_is_qcow2(source))
		return fail(err, ERR_USAGE, "drive %s: ,bitmap= and ,since= are for qcow2 images",
			    source->name);
	if (suffix->reflink_of != NULL && strcmp(format_of(source), "raw") != 0)
		return fail(err, ERR_USAGE, "drive %s: ,reflink-of= is for raw images",
			    source->name);
	if (shared && image_source_tells(source))
		return fail(err, ERR_USAGE,
			    "drive %s: with --allow-writers nothing can tell what changed",
			    source->name);
	return 0;
}

/* A name of ours is that of an instant. */
static int of_bitmap(struct changes *out, struct qcow2_file *file, const char *name,
		     struct error *err)
{
	struct qcow2_bitmap bitmap;
	int code = qcow2_file_bitmap(file, name, &bitmap, err);

	if (code <= 0)
		return code;
	if (changes_of_bitmap(out, file, &bitmap, err) != 0) {
		error_append(err, " (bitmap %.200s)", name);
		return err->code;
	}
	if (track_name_is_ours(name) && bitmap_token(file, name, &out->since, err) != 0) {
		changes_free(out);
		return err->code;
	}
	return 1;
}

static int of_given_bitmap(struct changes *out, struct qcow2_file *file, const char *name,
			   struct error *err)
{
	int code = of_bitmap(out, file, name, err);

	if (code != 0)
		return code < 0 ? code : 0;
	if (file->head.bitmaps_outdated)
		return fail(err, ERR_UNSUPPORTED,
			    "%s: a program that knows nothing of bitmaps has written to the image: "
			    "they do not tell all that changed",
			    file->path);
	return fail(err, ERR_USAGE, "%s: has no bitmap '%.100s'", file->path, name);
}

static int of_snapshots(struct changes *out, struct qcow2_file *file,
			const struct drive_suffix *suffix, struct error *err)
{
	struct qcow2_snapshot from, to;

	TRY(qcow2_file_snapshot(file, suffix->since, &from, err));
	if (suffix->snapshot != NULL)
		TRY(qcow2_file_snapshot(file, suffix->snapshot, &to, err));
	return changes_of_snapshots(out, file, &from, suffix->snapshot == NULL ? NULL : &to, err);
}

int image_changes(struct changes *out, const struct image_source *source, struct error *err)
{
	const struct drive_suffix *suffix = source->suffix;
	struct qcow2_file file;
	int code;

	*out = (struct changes){0};
	if (suffix->reflink_of != NULL)
		return changes_of_reflink(out, source->path, suffix->reflink_of, err);
	code = qcow2_file_open(&file, source->path, err);
	if (code == 0)
		code = suffix->bitmap != NULL ? of_given_bitmap(out, &file, suffix->bitmap, err)
					      : of_snapshots(out, &file, suffix, err);
	qcow2_file_close(&file);
	return code;
}

int image_changes_tracked(struct changes *out, const struct image_source *source,
			  const uint8_t uuid[UUID_SIZE], struct error *err)
{
	char name[TRACK_NAME_SIZE];
	struct qcow2_file file;
	int code;

	*out = (struct changes){0};
	code = qcow2_file_open(&file, source->path, err);
	if (code == 0)
		code = of_bitmap(out, &file, track_name(name, uuid), err);
	qcow2_file_close(&file);
	return code;
}

static int token_of_qcow2(char **out, struct qcow2_file *file, const char *snapshot,
			  const uint8_t *tracked, struct error *err)
{
	char name[TRACK_NAME_SIZE];
	struct qcow2_snapshot found;

	if (snapshot == NULL)
		return bitmap_token(file, track_name(name, tracked), out, err);
	TRY(qcow2_file_snapshot(file, snapshot, &found, err));
	return snapshot_token(file, &found, out, err);
}

int image_token(char **out, const struct image_source *source, const uint8_t *tracked,
		struct error *err)
{
	const struct drive_suffix *suffix = source->suffix;
	bool qcow2 = image_source_is_qcow2(source);
	struct qcow2_file file;
	struct stat found;
	int code;

	*out = NULL;
	/* A pipe or an NBD export is no file, and of a raw device nothing tells whether it was
	 * written to. */
	if (stat(source->path, &found) != 0 ||
	    !(S_ISREG(found.st_mode) || (S_ISBLK(found.st_mode) && qcow2)))
		return 0;
	if (suffix->reflink_of != NULL ||
	    (tracked != NULL && strcmp(format_of(source), "raw") == 0))
		return file_token(source->path, out, err);
	if (!qcow2 || (suffix->snapshot == NULL && tracked == NULL))
		return 0;
	code = qcow2_file_open(&file, source->path, err);
	if (code == 0)
		code = token_of_qcow2(out, &file, suffix->snapshot, tracked, err);
	qcow2_file_close(&file);
	return code;
}
