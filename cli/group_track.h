/*
 * Image files that tell themselves what changed in them (archive/image_changes.h), and backup
 * --track.
 */
#ifndef CLI_GROUP_TRACK_H
#define CLI_GROUP_TRACK_H

#include "archive/image_changes.h"
#include "cli/command.h"

struct create;
struct drive_changes;
struct json_t;
struct machine_options;
struct watcher;

struct track_options {
	bool track;
	const char *state;
};

extern const struct option_spec track_specs[];

/* ERR_USAGE: it does not go together with what else was said. */
int track_check(const struct track_options *options, const struct machine_options *machine,
		const struct create *create, struct error *err);

/* The images of a backup, in the order of its drives. */
struct tracked_images {
	const struct watcher *watcher; /* borrowed */
	struct tracked_image *images;  /* owned */
	struct image_source *sources;  /* owned */
	unsigned n;
	struct track *track; /* NULL: without --track */
	bool shared;	     /* others may write to them; set by the caller */
};

/* Once the drives are open, which are these images: what they were asked for, into the changes,
 * which have room for each. With --track nothing can write to the images any more. Free *out even
 * after an error. */
int tracked_images_open(struct tracked_images *out, const struct track_options *options,
			const struct strings *images, const struct create *create,
			struct drive_changes *changes, struct error *err);
/* After create_prepare: what the bitmaps tell that the parent's backup left, into the changes of
 * drives that have none; and tokens. */
int tracked_images_find(struct tracked_images *images, struct create *create,
			struct drive_changes *changes, struct error *err);
/* A drive was written while it was read: its image is left as it is. */
void tracked_images_changed(struct tracked_images *images, uint32_t drive);
/* Once the archive is durable and the drives are closed. n_others: where a machine records. */
void tracked_images_record(struct tracked_images *images, const struct create *create,
			   unsigned n_others, struct json_t *result);
void tracked_images_free(struct tracked_images *images);

#endif
