#include "tests/unit/fake_drive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct fake_drive *fake_of(struct drive *drive)
{
	return (struct fake_drive *)drive;
}

static int fake_read(struct drive *drive, uint64_t offset, void *buffer, size_t n,
		     struct error *err)
{
	struct fake_drive *fake = fake_of(drive);

	if (n == 0)
		return 0;
	if (fake->before_read)
		fake->before_read(fake, offset, n);
	uint64_t first = offset / CLUSTER_SIZE, end = clusters_of(offset + n);
	for (uint64_t c = first; c < end && fake->counting; c++)
		fake->n_reads[c]++;
	if (fake->fail_cluster >= first && fake->fail_cluster < end)
		return fail_system(err, EIO, "a bad cluster");
	memcpy(buffer, fake->bytes + offset, n);
	return 0;
}

/* It says not now of some, after it may have read a part; and never tells of a fault. */
static int fake_read_now(struct drive *drive, uint64_t offset, void *to, uint32_t n)
{
	struct fake_drive *fake = fake_of(drive);
	uint64_t first = offset / CLUSTER_SIZE, end = clusters_of(offset + n);

	memcpy(to, fake->bytes + offset, n);
	if (n % 3 == 0 || first % 4 == 3 || fake->before_read ||
	    (fake->fail_cluster >= first && fake->fail_cluster < end))
		return EAGAIN;
	for (uint64_t c = first; c < end && fake->counting; c++)
		fake->n_reads[c]++;
	return 0;
}

/* How far it goes on from offset like this. */
static uint64_t like(const struct fake_drive *fake, uint64_t offset, bool hole)
{
	uint64_t at = offset;

	while (at < fake->drive.size_bytes && fake->holes[at / FAKE_GRAIN] == hole)
		at = (at / FAKE_GRAIN + 1) * FAKE_GRAIN;
	return at - offset;
}

static int fake_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
		       struct error *err)
{
	struct fake_drive *fake = fake_of(drive);

	(void)err;
	*zero = fake->holes[offset / FAKE_GRAIN];
	*n = like(fake, offset, *zero);
	if (*n > fake->chop)
		*n = fake->chop;
	return 0;
}

static uint64_t fake_zeros(struct drive *drive, uint64_t offset)
{
	return like(fake_of(drive), offset, true);
}

static void begin_change(struct fake_drive *fake, uint64_t offset, uint64_t n)
{
	fake->n_changes++;
	if (fake->before_change)
		fake->before_change(fake, offset, n);
}

static int fake_write(struct drive *drive, uint64_t offset, const void *from, uint32_t n,
		      unsigned flags)
{
	struct fake_drive *fake = fake_of(drive);

	if ((flags & DRIVE_NOW) && n % 3 == 0)
		return EAGAIN;
	begin_change(fake, offset, n);
	memcpy(fake->bytes + offset, from, n);
	for (uint64_t at = offset / FAKE_GRAIN; at <= (offset + n - 1) / FAKE_GRAIN; at++)
		fake->holes[at] = false;
	return 0;
}

static int fake_zero(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags)
{
	struct fake_drive *fake = fake_of(drive);

	if ((flags & DRIVE_FAST) && fake->refuses_fast)
		return ENOTSUP;
	begin_change(fake, offset, n);
	memset(fake->bytes + offset, 0, n);
	for (uint64_t at = offset / FAKE_GRAIN; at <= (offset + n - 1) / FAKE_GRAIN; at++) {
		bool whole = at * FAKE_GRAIN >= offset && (at + 1) * FAKE_GRAIN <= offset + n;
		if (whole && (flags & DRIVE_MAY_TRIM))
			fake->holes[at] = true;
	}
	return 0;
}

static int fake_trim(struct drive *drive, uint64_t offset, uint64_t n)
{
	if (fake_of(drive)->keeps_trimmed)
		return 0;
	return fake_zero(drive, offset, n, DRIVE_MAY_TRIM);
}

static int fake_flush(struct drive *drive)
{
	return atomic_exchange(&fake_of(drive)->fail_flush, 0);
}

/* Whoever made it frees it. */
static void fake_close(struct drive *drive)
{
	pthread_mutex_init(&drive->asking, NULL);
}

static const struct drive_ops fake_ops = {
	.read = fake_read,
	.read_now = fake_read_now,
	.status = fake_status,
	.zeros = fake_zeros,
	.write = fake_write,
	.zero = fake_zero,
	.trim = fake_trim,
	.flush = fake_flush,
	.close = fake_close,
};

void fake_make(struct fake_drive *fake, uint64_t size_bytes)
{
	*fake = (struct fake_drive){
		.drive = {.ops = &fake_ops, .size_bytes = size_bytes, .writable = true},
		.bytes = calloc(1, size_bytes + 1),
		.holes = calloc(1, size_bytes / FAKE_GRAIN + 1),
		.n_reads = calloc(clusters_of(size_bytes) + 1, sizeof(uint32_t)),
		.chop = UINT64_MAX,
		.fail_cluster = UINT64_MAX,
	};
	memset(fake->holes, 1, size_bytes / FAKE_GRAIN + 1);
	pthread_mutex_init(&fake->drive.asking, NULL);
}

void fake_free(struct fake_drive *fake)
{
	pthread_mutex_destroy(&fake->drive.asking);
	free(fake->bytes);
	free(fake->holes);
	free(fake->n_reads);
}

void fake_fill(struct fake_drive *fake, uint64_t offset, uint64_t n, const uint8_t *bytes)
{
	if (n == 0)
		return;
	memcpy(fake->bytes + offset, bytes, n);
	for (uint64_t at = offset / FAKE_GRAIN; at <= (offset + n - 1) / FAKE_GRAIN; at++)
		fake->holes[at] = false;
}
