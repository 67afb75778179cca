/*
 * The file or block device that a drive lives in, and who else uses it. Private to cow/.
 */
#ifndef DRIVE_IMAGE_H
#define DRIVE_IMAGE_H

#include "base/error.h"

#include <sys/stat.h>

struct image {
	int fd;
	bool allow_writers;
	bool writable;	    /* by us */
	struct stat opened; /* as it was when it was opened */
};

/* Anything but a file or a block device is ERR_USAGE. ERR_LOCKED when others write to it: a running
 * QEMU, or a mounted file system on a device. One that is opened for writing is locked against them
 * until it is closed, and ERR_LOCKED when others use it in any way that a lock tells of. On failure
 * nothing is left open. */
struct image_mode {
	bool allow_writers; /* counts for reading only */
	bool writable;
};
int image_open(struct image *out, const char *path, const struct image_mode *mode,
	       struct error *err);
void image_close(struct image *image);

int image_size(const struct image *image, const char *path, uint64_t *size_bytes,
	       struct error *err);
/* ERR_USAGE when it looks like another format than this one, that only its name has told. */
int image_check_content(const struct image *image, const char *path, const char *format,
			struct error *err);

/* False for one that is open for writing: it was us. A file whose size or times are no longer what
 * they were, or that a QEMU has begun to write to. A ctime that a rename, a removal, a link or
 * another mode or owner explains does not count. A write to a block device by anything else leaves
 * no trace that could be looked for. */
bool image_was_changed(const struct image *image, const char *path);

#endif
