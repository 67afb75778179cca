#include "device/mount_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

int mount_file_seek(const struct mount_file *file, bool hole, uint64_t *at)
{
	uint64_t n = 0;
	bool zero = false;

	if (*at >= file->size_bytes)
		return ENXIO;
	for (; *at < file->size_bytes; *at += n) {
		int code = file->status(file->context, *at, &n, &zero);

		if (code != 0)
			return code;
		if (zero == hole)
			return 0;
	}
	return hole ? 0 : ENXIO;
}

int mount_file_write(const struct mount_file *file, uint64_t offset, const void *from, size_t n,
		     size_t *done)
{
	if (file->write == NULL)
		return EROFS;
	if (n == 0 || offset >= file->size_bytes)
		return n == 0 ? 0 : ENOSPC;
	*done = least(n, file->size_bytes - offset);
	return file->write(file->context, offset, from, *done);
}

int mount_file_allocate(const struct mount_file *file, int mode, uint64_t offset, uint64_t n)
{
	bool punch = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);

	if (file->write == NULL)
		return EROFS;
	if (!punch && (mode & ~FALLOC_FL_KEEP_SIZE) != FALLOC_FL_ZERO_RANGE)
		return EOPNOTSUPP;
	if (offset >= file->size_bytes)
		return 0;
	return file->zero(file->context, offset, least(n, file->size_bytes - offset), punch);
}
