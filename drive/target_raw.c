#include "drive/target_parts.h"

#include "base/io.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* For longer writes the kernel allocates page cache in the largest pieces it can get, whose memory
 * is in no processor's cache and may not even be mapped by the host: measured four times as slow.
 */
#define WRITE_MAX (256u << 10)
/* Write-back starts while the rest is decoded, so that the sync at the end is short. */
#define SEND_BYTES (8u << 20)

void target_raw_init(struct target_raw *raw)
{
	raw->image.fd = -1;
	pthread_mutex_init(&raw->writing, NULL);
}

int target_raw_open(struct target_raw *raw, const struct target_options *options,
		    enum content_use use, struct error *err)
{
	const char *path = raw->target.path;

	TRY(image_open(&raw->image, path, IMAGE_REPLACE, err));
	TRY(disk_init(&raw->disk, raw->image.fd, path, err));
	return options->format == NULL ? image_check_content(&raw->image, path, "raw", use, err)
				       : 0;
}

void target_raw_close(struct target_raw *raw)
{
	image_close(&raw->image);
	pthread_mutex_destroy(&raw->writing);
}

int target_raw_result(const struct target *target, int sys, uint64_t offset, struct error *err)
{
	return sys == 0 ? 0
			: fail_system(err, sys, "%s: writing at byte %" PRIu64, target->path,
				      offset);
}

int target_raw_read(const struct target *target, uint64_t offset, void *bytes, size_t n)
{
	const struct target_raw *raw = (const struct target_raw *)target;
	size_t got = 0;
	int sys = io_pread(raw->image.fd, bytes, n, offset, &got);

	if (sys == 0)
		memset((uint8_t *)bytes + got, 0, n - got);
	return sys;
}

/* What to write back now, and what was sent long ago. */
static void note_written(struct target_raw *raw, uint64_t offset, size_t n, struct sent *now,
			 struct sent *before)
{
	bool first = raw->unsent_bytes == 0;
	struct sent *turn = &raw->sent[raw->n_sent % SENT_N];

	if (first || offset < raw->unsent_begin)
		raw->unsent_begin = offset;
	if (first || offset + n > raw->unsent_end)
		raw->unsent_end = offset + n;
	raw->unsent_bytes += n;
	if (!raw->target.sync || raw->unsent_bytes < SEND_BYTES)
		return;
	*now = (struct sent){raw->unsent_begin, raw->unsent_end - raw->unsent_begin};
	*before = *turn;
	*turn = *now;
	raw->n_sent++;
	raw->unsent_bytes = 0;
}

/* The kernel stops a writer of gigabytes that are not on the disk yet for long, and pages that are
 * free again cost less than ever new ones, and are nobody else's. */
static int send(const struct target_raw *raw, const struct sent *now, const struct sent *before,
		struct error *err)
{
	const struct sent *part = now;
	int fd = raw->image.fd;
	int sys = writeback_range(fd, now->begin, now->n, SYNC_FILE_RANGE_WRITE);

	if (sys == 0 && before->n > 0) {
		part = before;
		sys = writeback_range(fd, before->begin, before->n,
				      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					      SYNC_FILE_RANGE_WAIT_AFTER);
		posix_fadvise(fd, (off_t)before->begin, (off_t)before->n, POSIX_FADV_DONTNEED);
	}
	return sys == 0 ? 0
			: fail_system(err, sys, "%s: writing back from byte %" PRIu64,
				      raw->target.path, part->begin);
}

int target_raw_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
		     struct error *err)
{
	struct target_raw *raw = (struct target_raw *)target;
	struct sent now = {0}, before = {0};
	int sys = 0;
	size_t at = 0;

	pthread_mutex_lock(&raw->writing);
	for (; at < n && sys == 0; at += WRITE_MAX)
		sys = io_pwrite(raw->image.fd, (const uint8_t *)bytes + at,
				n - at < WRITE_MAX ? n - at : WRITE_MAX, offset + at, 0);
	if (sys == 0)
		note_written(raw, offset, n, &now, &before);
	pthread_mutex_unlock(&raw->writing);
	if (sys != 0)
		return target_raw_result(target, sys, offset + at - WRITE_MAX, err);
	return now.n > 0 ? send(raw, &now, &before, err) : 0;
}
