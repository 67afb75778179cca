/*
 * The file or block device that a drive lies in: what it holds, who else uses it, zeros and holes
 * in it. Private to drive/.
 */
#ifndef DRIVE_BACKING_H
#define DRIVE_BACKING_H

#include "base/error.h"

#include <stdatomic.h>
#include <sys/stat.h>

struct nbdclient;

/* ---- content.c ----
 *
 * What the bytes of a drive look like. This never decides how they are read or written, because a
 * guest controls them. But if the user gave no format, and they look like another format than the
 * name says, going on would be a gamble with the user's data.
 */

#define CONTENT_END_SIZE 512u

struct content {
	uint8_t head[CONTENT_END_SIZE];
	uint8_t tail[CONTENT_END_SIZE]; /* the last bytes */
	size_t n_head, n_tail;
};

/* Reads both ends. After a short or failed read there is less to look at. */
void content_read(struct content *out, int fd, uint64_t size_bytes);
void content_ask(struct content *out, struct nbdclient *client);

enum content_use {
	CONTENT_SOURCE,	     /* to be read */
	CONTENT_SERVED,	     /* to be read and written by a guest */
	CONTENT_NBD_SOURCE,  /* to be read, as the raw bytes that a server has */
	CONTENT_FILE_TARGET, /* to be overwritten */
	CONTENT_RAW_TARGET,  /* the same, where no image can be created: a device, a URI */
};

/* ERR_USAGE, with the ways out, if the content looks like another format than this one, which only
 * the name of the file suggests. */
int content_check(const struct content *content, const char *path, const char *format,
		  enum content_use use, struct error *err);

/* ---- lock.c ----
 *
 * Who else uses an image file, by QEMU's locks.
 *
 * QEMU announces what it does with an image by shared locks on single bytes: 100 + n means that it
 * uses permission n, 200 + n that no one else may. Permission 0 is reading, 1 writing, 2 writing
 * unchanged data, 3 resizing. Our own writers do the same, so that QEMU, backups and other writers
 * see them. On a file system without locks every image looks unused.
 */

/* Whether another process writes to the file, or uses it in any way. Takes no lock, so that it does
 * not get in the way of a process that starts meanwhile. */
bool lock_others_write(int fd);
bool lock_others_use(int fd);

/* Held until the file is closed; false: others are in the way. */
bool lock_to_keep(int fd);    /* no one may write to it */
bool lock_to_write(int fd);   /* as a QEMU that writes: others may read */
bool lock_to_replace(int fd); /* no other process may use it at all */
void lock_release(int fd);

/* ---- inuse.c ----
 *
 * Who else uses an image file or a block device, as far as the kernel reveals it. The caller checks
 * exclusive claims and QEMU's locks; this finds users that claim nothing: loop devices, and devices
 * that are exported to Xen's guests or by the SCSI target.
 */

/* ERR_LOCKED if the file or device that is open as fd, or anything below it, is used by others: for
 * writing, or in any way if will_write is set. Below it are the disk of a partition, the devices
 * under a device of the device mapper, and the file under a loop device, down to the bottom. path
 * is for messages. */
int inuse_check(int fd, const char *path, bool will_write, struct error *err);

/* ---- image.c ---- */

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
	uint64_t written;   /* sectors of a device until then, if it is only read */
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
 * or times have changed since it was opened, for a device to which this host has written since, and
 * for what a QEMU writes to now. A ctime that a rename, a removal, a link or another mode or owner
 * explains does not count. */
bool image_was_changed(const struct image *image, const char *path);

/* ---- disk.c ----
 *
 * Zeros and holes in a file or block device that a guest or a restore writes to.
 *
 * fallocate does the same for devices as for files: punching a hole unmaps without ever writing
 * zeros, zeroing a range writes them if the device has no command for it. What is not supported is
 * not tried again. Any thread.
 */

struct disk {
	int fd; /* borrowed */
	bool is_device;
	uint32_t grain; /* bytes: holes, and zeros of a device, begin and end at multiples of it */
	atomic_bool cannot_punch, cannot_zero;
};

/* path is for messages. */
int disk_init(struct disk *disk, int fd, const char *path, struct error *err);

/* These return 0 or an errno value. A hole of a device has whole grains. */
int disk_write_zeros(struct disk *disk, uint64_t offset, uint64_t n);
int disk_punch(struct disk *disk, uint64_t offset, uint64_t n); /* EOPNOTSUPP: there are no holes */

enum disk_way {
	DISK_MAY_PUNCH = 1, /* holes are welcome */
	DISK_FAST = 2,	    /* ENOTSUP, and nothing done, unless it is faster than writing zeros */
};
/* Zeros by the fastest way that works: a hole, ZERO_RANGE, writing them. ways: enum disk_way. */
int disk_zero(struct disk *disk, uint64_t offset, uint64_t n, unsigned ways);

/* Syncs if asked to, and closes, because some file systems report failed writes only then. *fd is
 * -1 once it is closed. */
int disk_end(int *fd, const char *path, bool sync, struct error *err);

#endif
