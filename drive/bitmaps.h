/*
 * Persistent bitmaps in a qcow2 image that is off: qemu-img puts them in and removes them, while
 * nothing else can write to the image.
 *
 * A bitmap tells what was written since it was made. That is worth something only if the image was
 * not written between the moment at which it was read and that one, so the image is kept from
 * before it is read.
 */
#ifndef DRIVE_BITMAPS_H
#define DRIVE_BITMAPS_H

#include "base/error.h"

struct kept_image;

/* No QEMU can write to the image from now on. ERR_LOCKED: something does. path and secret (a file
 * with the key of an encrypted image, or NULL) are borrowed. */
int kept_image_open(struct kept_image **out, const char *path, const char *secret,
		    struct error *err);
void kept_image_close(struct kept_image *image); /* NULL-safe */

/* Whether it was written since it was opened, other than by the functions below. */
bool kept_image_was_changed(const struct kept_image *image);
/* Nothing else may use it, to read it either. name: letters, digits and '-'. Durable when they
 * return 0. */
int kept_image_add_bitmap(struct kept_image *image, const char *name, struct error *err);
int kept_image_remove_bitmap(struct kept_image *image, const char *name, struct error *err);

#endif
