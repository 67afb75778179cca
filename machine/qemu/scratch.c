#include "machine/qemu/scratch.h"

#include "base/io.h"
#include "drive/qemuimg.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PAST_ALL   (INT64_C(1) << 62)  /* an offset at which no file has data */
#define STEP_BYTES (SCRATCH_AHEAD / 8) /* less is not worth a call */
#define SPARE	   (UINT64_C(2) << 20) /* to round up */

/* The bytes of an image. 0 or errno. */
static int copy(int to, int from)
{
	uint8_t bytes[65536];
	uint64_t at = 0;
	size_t got;
	int sys;

	do {
		sys = io_pread(from, bytes, sizeof(bytes), at, &got);
		if (sys == 0)
			sys = io_pwrite(to, bytes, got, at, 0);
		at += got;
	} while (sys == 0 && got > 0);
	return sys;
}

int scratch_make(struct scratch *out, char *path, uint64_t size_bytes, const struct scratch *like,
		 struct error *err)
{
	struct stat found;
	char name[220];
	struct qemu_new_image how = {
		.name = name,
		.path = path,
		.format = "qcow2",
		.size_bytes = size_bytes,
	};
	int sys = 0;

	*out = (struct scratch){.fd = -1, .path = path};
	snprintf(name, sizeof(name), "scratch image %.200s", path);
	if (like == NULL)
		TRY(qemu_img_create(&how, err));
	out->fd =
		open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | (like == NULL ? 0 : O_CREAT | O_EXCL),
		     0600);
	out->named = like == NULL || out->fd >= 0;
	if (out->fd >= 0 && like != NULL)
		sys = copy(out->fd, like->fd);
	if (sys != 0)
		return fail_system(err, sys, "%s", name);
	if (out->fd < 0 || fchmod(out->fd, 0600) < 0 || fstat(out->fd, &found) < 0)
		return fail_system(err, errno, "%s", name);
	/* All clusters, their L2 tables and refcounts. */
	out->most_bytes = (uint64_t)found.st_size + size_bytes + size_bytes / 4096 + SPARE;
	return scratch_take_room(out, err);
}

static int fail_full(const struct scratch *scratch, struct error *err)
{
	return fail(err, ERR_SYSTEM,
		    "no room left for the scratch image %.200s; --scratch names another place",
		    scratch->path);
}

/* On file systems that cannot reserve room: it should at least be free. */
static int check_room(const struct scratch *scratch, uint64_t needed_bytes, struct error *err)
{
	struct statvfs found;

	if (fstatvfs(scratch->fd, &found) < 0)
		return fail_system(err, errno, "scratch image %.200s", scratch->path);
	if ((uint64_t)found.f_bavail * found.f_frsize < needed_bytes)
		return fail_full(scratch, err);
	return 0;
}

int scratch_take_room(struct scratch *scratch, struct error *err)
{
	uint64_t wanted;
	struct stat found;

	if (fstat(scratch->fd, &found) < 0)
		return fail_system(err, errno, "scratch image %.200s", scratch->path);
	wanted = (uint64_t)found.st_size + SCRATCH_AHEAD;
	if (wanted > scratch->most_bytes)
		wanted = scratch->most_bytes;
	if (wanted <= scratch->taken_bytes ||
	    (wanted < scratch->most_bytes && wanted - scratch->taken_bytes < STEP_BYTES))
		return 0;
	while (fallocate(scratch->fd, FALLOC_FL_KEEP_SIZE, (off_t)scratch->taken_bytes,
			 (off_t)(wanted - scratch->taken_bytes)) < 0) {
		if (errno == EOPNOTSUPP || errno == ENOSYS)
			return check_room(scratch, wanted - (uint64_t)found.st_size, err);
		if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
			return fail_full(scratch, err);
		if (errno != EINTR)
			return fail_system(err, errno, "scratch image %.200s", scratch->path);
	}
	scratch->taken_bytes = wanted;
	return 0;
}

/* overlayfs answers for its own pages, of which there are none: only writing back all dirty data
 * tells there. */
int scratch_check_kept(int fd, const char *path, struct error *err)
{
	struct statfs found;
	int result = sync_file_range(fd, PAST_ALL, 1, SYNC_FILE_RANGE_WAIT_BEFORE);

	if (result == 0 && fstatfs(fd, &found) == 0 && found.f_type == OVERLAYFS_SUPER_MAGIC)
		result = fdatasync(fd);
	if (result == 0)
		return 0;
	return fail(err, ERR_SYSTEM,
		    "scratch image %.200s: its file system lost data: %s; --scratch names another "
		    "place",
		    path, strerror(errno));
}

void scratch_unlink(struct scratch *scratch)
{
	if (scratch->named)
		unlink(scratch->path);
	scratch->named = false;
}

void scratch_close(struct scratch *scratch)
{
	scratch_unlink(scratch);
	free(scratch->path);
	scratch->path = NULL;
	if (scratch->fd >= 0)
		close(scratch->fd);
	scratch->fd = -1;
}
