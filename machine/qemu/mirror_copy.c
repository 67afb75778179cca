#include "machine/qemu/mirror_parts.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "drive/drive.h"
#include "machine/qemu/qmp.h"

#include <inttypes.h>
#include <stdlib.h>

#define STEP_CLUSTERS 16u
#define BATCH_MS      2000 /* so that little of a batch is written meanwhile at a low rate */
#define AGAIN_MS      2	   /* a guest that writes on and on may do so */

bool qmirror_copied(const struct mirrored *drive)
{
	return drive->cursor >= drive->n_clusters;
}

bool qmirror_in_sync(const struct mirrored *drive)
{
	return !drive->failed && qmirror_copied(drive) &&
	       atomic_load(&drive->job_bytes) <= MIRROR_SYNC_BYTES;
}

void qmirror_fail(struct qemu_mirror *mirror, struct mirrored *drive, const struct error *why)
{
	pthread_mutex_lock(&mirror->lock_all);
	if (!drive->failed)
		drive->err = *why;
	drive->failed = true;
	pthread_mutex_unlock(&mirror->lock_all);
}

uint64_t qmirror_count(const struct mirrored *drive, uint64_t from)
{
	uint64_t n, count = 0;
	bool in;

	for (uint64_t at = from; at < drive->n_clusters; at += n) {
		n = cluster_set_run(&drive->need, at, drive->n_clusters - at, &in);
		count += in ? n : 0;
	}
	return count;
}

/* The first run from *at on that is in one set and not in the other; its length, or 0. */
static uint64_t next_run(const struct cluster_set *in, const struct cluster_set *out, uint64_t *at,
			 uint64_t end)
{
	while (*at < end) {
		bool wanted, unwanted;
		uint64_t n = cluster_set_run(in, *at, end - *at, &wanted);
		uint64_t m = cluster_set_run(out, *at, end - *at, &unwanted);

		if (wanted && !unwanted)
			return least(n, m);
		*at += !wanted ? n : m;
	}
	return 0;
}

static int include_all(struct cluster_set *set, const struct cluster_set *other, uint64_t end,
		       struct error *err)
{
	uint64_t n;
	bool in;

	for (uint64_t at = 0; at < end; at += n) {
		n = cluster_set_run(other, at, end - at, &in);
		if (in)
			TRY(cluster_set_include(set, at, n, err));
	}
	return 0;
}

/* ---- the target ---- */

static uint64_t end_of(const struct mirrored *drive, uint64_t cluster)
{
	return least(cluster * CLUSTER_SIZE, drive->size_bytes);
}

static int fail_target(int sys, uint64_t offset, struct error *err)
{
	return sys == 0 ? 0 : fail_system(err, sys, "the target: writing at byte %" PRIu64, offset);
}

static int put_zeros(struct mirrored *drive, uint64_t first, uint64_t n, bool again,
		     struct error *err)
{
	uint64_t offset = first * CLUSTER_SIZE;

	if (drive->fresh && !again)
		return 0;
	return fail_target(beside_zero(&drive->output, offset, end_of(drive, first + n) - offset),
			   offset, err);
}

static bool holds_zeros(const struct mirrored *drive, uint64_t cluster, const uint8_t *bytes)
{
	return all_zero(bytes, end_of(drive, cluster + 1) - cluster * CLUSTER_SIZE);
}

/* Clusters that were read; again: we may have written something else to them. */
static int put_clusters(struct mirrored *drive, uint64_t first, uint64_t n, const uint8_t *bytes,
			bool again, struct error *err)
{
	uint64_t at = 0, next;

	for (; at < n; at = next) {
		bool zeros = holds_zeros(drive, first + at, bytes + at * CLUSTER_SIZE);
		uint64_t offset = (first + at) * CLUSTER_SIZE;

		next = at + 1;
		while (next < n &&
		       holds_zeros(drive, first + next, bytes + next * CLUSTER_SIZE) == zeros)
			next++;
		if (zeros)
			TRY(put_zeros(drive, first + at, next - at, again, err));
		else
			TRY(fail_target(beside_put(&drive->output, offset,
						   bytes + at * CLUSTER_SIZE,
						   end_of(drive, first + next) - offset),
					offset, err));
	}
	return 0;
}

/* ---- a batch ---- */

struct batch {
	struct qemu_mirror *mirror;
	struct mirrored *drive;
	uint8_t *buffer;
	uint64_t data_bytes;
};

/* In small parts, as the rate may be changed, or the mirror asked something, meanwhile. */
static void keep_pace(struct batch *batch, uint64_t n)
{
	struct qemu_mirror *mirror = batch->mirror;
	struct pace *pace = &batch->drive->pace;
	uint64_t part;

	for (; n > 0; n -= part) {
		uint64_t rate = atomic_load(&mirror->rate);

		if (rate == 0 || atomic_load(&mirror->hurry) || atomic_load(&mirror->leaving))
			return;
		if (rate != pace->bytes_per_s)
			pace_start(pace, rate);
		part = least(n, rate / 10 + 1);
		pace_wait(pace, (size_t)part);
	}
}

static uint64_t step_of(const struct batch *batch)
{
	uint64_t rate = atomic_load(&batch->mirror->rate), n = rate / 10 / CLUSTER_SIZE;

	return rate == 0 || n > STEP_CLUSTERS ? STEP_CLUSTERS : n > 0 ? n : 1;
}

static int copy_data(struct batch *batch, uint64_t first, uint64_t n, bool again, struct error *err)
{
	struct mirrored *drive = batch->drive;
	uint64_t n_bytes = end_of(drive, first + n) - first * CLUSTER_SIZE;

	TRY(drive_read_clusters(drive->from, first, n, batch->buffer, err));
	TRY(put_clusters(drive, first, n, batch->buffer, again, err));
	batch->data_bytes += n_bytes;
	atomic_fetch_add(&drive->copied_bytes, n_bytes);
	keep_pace(batch, n_bytes);
	return 0;
}

/* Before anything is written there: whatever becomes of the batch, a later one settles it. */
static void reach(struct mirrored *drive, uint64_t end)
{
	if (end > drive->reached)
		drive->reached = end;
}

/* What QEMU said of holes may be of long ago: what the guest has written since is not copied by us
 * (seen), or is read when it is copied again. */
static int copy_some(struct batch *batch, uint64_t first, uint64_t n, uint64_t *done,
		     struct error *err)
{
	struct mirrored *drive = batch->drive;
	uint64_t offset = first * CLUSTER_SIZE, n_bytes, n_zeros;
	bool zero;

	TRY(drive_status(drive->from, offset, &n_bytes, &zero, err));
	n_zeros = zero ? n_bytes / CLUSTER_SIZE : 0;
	if (zero && offset + n_bytes >= drive->size_bytes)
		n_zeros = n;
	if (n_zeros > 0) {
		*done = least(n_zeros, n);
		reach(drive, first + *done);
		return put_zeros(drive, first, *done, false, err);
	}
	*done = least(n, step_of(batch));
	reach(drive, first + *done);
	return copy_data(batch, first, *done, false, err);
}

/* *end: how far it got. */
static int copy_batch(struct batch *batch, uint64_t *end, struct error *err)
{
	struct mirrored *drive = batch->drive;
	int64_t until_ms = clock_ms() + BATCH_MS;
	uint64_t at = drive->cursor, n, done;

	while (batch->data_bytes < MIRROR_BATCH_BYTES && clock_ms() < until_ms &&
	       !atomic_load(&batch->mirror->leaving)) {
		n = next_run(&drive->need, &drive->seen, &at, drive->n_clusters);
		if (n == 0)
			break;
		TRY(copy_some(batch, at, n, &done, err));
		at += done;
	}
	*end = at;
	return 0;
}

/* The runs of a set that are to be copied once more. */
static int copy_again(struct batch *batch, const struct cluster_set *set, uint64_t end,
		      struct error *err)
{
	uint64_t n;
	bool in;

	for (uint64_t at = batch->drive->cursor; at < end; at += n) {
		n = cluster_set_run(set, at, least(end - at, STEP_CLUSTERS), &in);
		if (in)
			TRY(copy_data(batch, at, n, true, err));
	}
	return 0;
}

/* ---- what the guest wrote meanwhile ---- */

static int harvest(const struct qemu_mirror *mirror, const struct mirrored *drive,
		   struct cluster_set *out, struct error *err)
{
	struct qmp *qmp;
	int code;

	/* A backup may have the monitor. */
	do {
		*err = (struct error){0};
		code = qmp_open(&qmp, mirror->place, err);
	} while (code == ERR_LOCKED && !atomic_load(&mirror->leaving));
	TRY(code);
	code = bits_harvest(qmp, drive, out, err);
	qmp_close(qmp);
	return code;
}

/* Of what was written to by us, what may be older now than what the job wrote is added to
 * out. written: what was copied, of which the guest's is in found. */
static int find_doubtful(const struct mirrored *drive, const struct cluster_set *written,
			 const struct cluster_set *found, uint64_t end, struct cluster_set *out,
			 struct error *err)
{
	uint64_t n, m;
	bool in, too;

	for (uint64_t at = drive->cursor; at < end; at += least(n, m)) {
		n = cluster_set_run(written, at, end - at, &in);
		m = cluster_set_run(found, at, end - at, &too);
		if (in && too)
			TRY(cluster_set_include(out, at, least(n, m), err));
	}
	return 0;
}

/* Of the doubtful, those that the guest has written once more since, which the job copies after
 * us, are dropped; the rest is copied again. If that fails all of them stay doubtful: QEMU does not
 * tell of them once more. */
static int settle_once(struct batch *batch, uint64_t end, struct error *err)
{
	struct mirrored *drive = batch->drive;
	struct cluster_set later = {0}, rest = {0}, meanwhile = {0}, next = {0};
	uint64_t at = drive->cursor, n;
	int code;

	clock_sleep_ms(AGAIN_MS);
	code = harvest(batch->mirror, drive, &later, err);
	if (code >= 0)
		code = include_all(&drive->seen, &later, drive->n_clusters, err);
	while (code >= 0 && (n = next_run(&drive->doubtful, &later, &at, end)) > 0) {
		code = cluster_set_include(&rest, at, n, err);
		at += n;
	}
	if (code >= 0)
		code = copy_again(batch, &rest, end, err);
	if (code >= 0)
		code = harvest(batch->mirror, drive, &meanwhile, err);
	if (code >= 0)
		code = include_all(&drive->seen, &meanwhile, drive->n_clusters, err);
	if (code >= 0)
		code = find_doubtful(drive, &rest, &meanwhile, end, &next, err);
	if (code >= 0) {
		cluster_set_free(&drive->doubtful);
		drive->doubtful = next;
		next = (struct cluster_set){0};
	}
	cluster_set_free(&later);
	cluster_set_free(&rest);
	cluster_set_free(&meanwhile);
	cluster_set_free(&next);
	return code < 0 ? code : 0;
}

/* What of need was copied up to end is what was not seen before it. */
static int settle(struct batch *batch, uint64_t end, struct error *err)
{
	struct mirrored *drive = batch->drive;
	struct cluster_set found = {0}, copied = {0};
	uint64_t at = drive->cursor, n;
	int code = 0;

	while (code >= 0 && (n = next_run(&drive->need, &drive->seen, &at, end)) > 0) {
		code = cluster_set_include(&copied, at, n, err);
		at += n;
	}
	if (code >= 0)
		code = harvest(batch->mirror, drive, &found, err);
	/* First what is doubtful: what was seen is not copied any more. */
	if (code > 0)
		code = find_doubtful(drive, &copied, &found, end, &drive->doubtful, err);
	if (code >= 0)
		code = include_all(&drive->seen, &found, drive->n_clusters, err);
	while (code >= 0 && drive->doubtful.root != NULL)
		code = settle_once(batch, end, err);
	cluster_set_free(&found);
	cluster_set_free(&copied);
	return code < 0 ? code : 0;
}

int qmirror_copy(struct qemu_mirror *mirror, struct mirrored *drive, struct error *err)
{
	struct batch batch = {.mirror = mirror, .drive = drive};
	uint64_t end = drive->cursor;
	int code;

	batch.buffer = malloc(STEP_CLUSTERS * CLUSTER_SIZE);
	code = batch.buffer == NULL ? fail_memory(err) : copy_batch(&batch, &end, err);
	/* What is broken off, when the mirror is asked something, is settled with the next batch.
	 */
	if (code == 0)
		code = settle(&batch, drive->reached, err);
	free(batch.buffer);
	if (code == 0) {
		drive->cursor = end;
		atomic_store(&drive->need_bytes, qmirror_count(drive, end) * CLUSTER_SIZE);
	}
	return code;
}
