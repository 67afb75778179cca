#include "machine/qemu/mirror_parts.h"

#include "base/bytes.h"
#include "base/io.h"
#include "drive/drive.h"
#include "drive/target.h"
#include "machine/mirror_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITE_MAX (1u << 20)

static const uint8_t zeros[CLUSTER_SIZE];

/* QEMU locks a file that is its own. So we look that nobody uses it, and then write beside QEMU. */
int beside_open(struct mirror_output *out, struct mirror_target *target, struct error *err)
{
	struct drive *drive;

	*out = (struct mirror_output){.fd = -1};
	if (target->socket != NULL) {
		out->socket = strdup(target->socket);
		if (out->socket == NULL)
			return fail_memory(err);
	}
	TRY(mirror_target_open(&drive, target, err));
	out->wide = drive_size(drive) != target->size_bytes || target->inode == 0;
	if (target->socket != NULL || target_is_uri(target->path)) {
		out->drive = drive;
		return 0;
	}
	drive_close(drive);
	out->fd = open(target->path, O_RDWR | O_CLOEXEC);
	return out->fd < 0 ? fail_system(err, errno, "%s", target->path) : 0;
}

void beside_close(struct mirror_output *output)
{
	if (output->fd >= 0)
		close(output->fd);
	drive_close(output->drive);
	if (output->socket != NULL)
		unlink(output->socket);
	free(output->socket);
	*output = (struct mirror_output){.fd = -1};
}

int beside_put(struct mirror_output *output, uint64_t offset, const uint8_t *bytes, uint64_t n)
{
	int sys = 0;

	for (uint64_t at = 0; at < n && sys == 0; at += WRITE_MAX) {
		uint32_t part = (uint32_t)least(n - at, WRITE_MAX);

		sys = output->drive != NULL
			      ? drive_write(output->drive, offset + at, bytes + at, part, 0)
			      : io_pwrite(output->fd, bytes + at, part, offset + at, 0);
	}
	return sys;
}

int beside_zero(struct mirror_output *output, uint64_t offset, uint64_t n)
{
	int sys = 0;

	if (output->drive != NULL)
		return drive_zero(output->drive, offset, n, DRIVE_MAY_TRIM);
	if (fallocate(output->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		      (off_t)n) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS)
		return errno;
	for (uint64_t at = 0; at < n && sys == 0; at += sizeof(zeros))
		sys = io_pwrite(output->fd, zeros, least(n - at, sizeof(zeros)), offset + at, 0);
	return sys;
}

/* What QEMU has alone was flushed before, and QEMU flushes the rest when its job ends. */
int beside_flush(struct mirror_output *output)
{
	if (output->handed)
		return output->lost;
	if (output->lost == 0 && output->drive != NULL)
		output->lost = drive_flush(output->drive);
	else if (output->lost == 0 && fsync(output->fd) < 0)
		output->lost = errno;
	return output->lost;
}
