/*
 * The file or block device that a drive lives in, and who else uses it. Private to drive/.
 */
#ifndef DRIVE_IMAGE_H
#define DRIVE_IMAGE_H

#include "drive/content.h"

#include <sys/stat.h>

enum image_use {
	IMAGE_READ,	   /* ERR_LOCKED when others write to it */
	IMAGE_READ_KEPT,   /* the same, and no QEMU can open it for writing until it is closed */
	IMAGE_READ_SHARED, /* even if others write to it */
	IMAGE_WRITE,	   /* for a guest: ERR_LOCKED unless others only read it */
	IMAGE_REPLACE,	   /* for a restore: ERR_LOCKED when others use it in any way */
};

struct image {
	int fd;
	enum image_use use;
	struct stat opened; /* as it was when it was opened */
};

/* Anything but a file or a block device is ERR_USAGE. Other users are found by QEMU's locks, by
 * exclusive claims on devices (a mounted file system) and by inuse_check. For writing, the image is
 * locked against them until it is closed. On failure nothing is left open. */
int image_open(struct image *out, const char *path, enum image_use use, struct error *err);
void image_close(struct image *image);

int image_size(const struct image *image, const char *path, uint64_t *size_bytes,
	       struct error *err);
/* ERR_USAGE if it looks like another format than this one, which only its name suggests. */
int image_check_content(const struct image *image, const char *path, const char *format,
			enum content_use use, struct error *err);

/* False for an image that is open for writing: we changed it. Otherwise true for a file whose size
 * or times have changed since it was opened, or that a QEMU writes to now. A ctime that a rename, a
 * removal, a link or another mode or owner explains does not count. Writes to a block device by
 * anything but QEMU leave no trace. */
bool image_was_changed(const struct image *image, const char *path);

#endif
