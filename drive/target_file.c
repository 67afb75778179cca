/*
 * Files: new ones, and ones that are overwritten in place.
 *
 * What lies past old_bytes was never written by anybody but us, and is a hole: so in a new file
 * there is nothing at all to do for zeros.
 */
#include "drive/target_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const uint8_t zeros[CLUSTER_SIZE];

static int file_zero(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	if (offset >= target->old_bytes)
		return 0;
	if (n > target->old_bytes - offset)
		n = target->old_bytes - offset;
	if (n == 0 || target_punch(target, offset, n))
		return 0;
	while (n > 0) {
		size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
		int code = target_pwrite(target, offset, zeros, part, err);
		if (code != 0)
			return code;
		offset += part;
		n -= part;
	}
	return 0;
}

static int set_size(struct target *target, struct error *err)
{
	if (ftruncate(target->fd, (off_t)target->size_bytes) != 0)
		return fail_system(err, errno, "%s: making it %llu bytes large", target->path,
				   (unsigned long long)target->size_bytes);
	return 0;
}

static const struct target_kind file_kind = {.zero = file_zero, .finish = set_size};

/* The size comes first: a file system that cannot have such a file says so before any work is done.
 */
int target_file_create(struct target *target, struct error *err)
{
	int code = newfile_create(&target->temp, &target->fd, target->path, err);

	target->kind = &file_kind;
	return code == 0 ? set_size(target, err) : code;
}

int target_file_open(struct target *target, struct error *err)
{
	struct stat st;

	target->kind = &file_kind;
	target->fd = open(target->path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (target->fd < 0 || fstat(target->fd, &st) != 0)
		return fail_system(err, errno, "%s", target->path);
	if (!S_ISREG(st.st_mode))
		return fail(err, ERR_USAGE, "%s: was replaced while it was opened", target->path);
	target->old_bytes = (uint64_t)st.st_size;
	TRY(target_lock(target, target->fd, err));
	return target_check_content(target, target->old_bytes, err);
}
