#include "device/live_fill.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/grain.h"
#include "base/io.h"
#include "base/watcher.h"
#include "drive/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define PIECE	  (256u << 10)
#define ZEROS_MAX (64u << 20)
#define BEHIND                                              \
	(8u << 20) /* so much may be on its way to the disk \
		    */
#define AGAIN_MS 5000
#define FULL_MS	 1000

static bool ends(struct live_fill *fill)
{
	bool result;

	pthread_mutex_lock(&fill->lock);
	result = fill->ends;
	pthread_mutex_unlock(&fill->lock);
	return result;
}

static void rest(struct live_fill *fill, int64_t ms)
{
	int64_t until = clock_ms() + ms;

	pthread_mutex_lock(&fill->lock);
	while (!fill->ends && clock_cond_wait(&fill->changed, &fill->lock, until) == 0)
		;
	pthread_mutex_unlock(&fill->lock);
}

/* As much as can be read, a cluster at a time where something is damaged. *n: how many bytes that
 * are, or, with an error, how many cannot be read. */
static int read_some(struct live_fill *fill, const struct device_drive *drive, uint64_t offset,
		     uint64_t *n)
{
	int sys = view_read(drive->view, drive->number, offset, fill->room, (size_t)*n, false);

	if (sys == 0)
		return 0;
	*n = least(*n, CLUSTER_SIZE - offset % CLUSTER_SIZE);
	return view_read(drive->view, drive->number, offset, fill->room, (size_t)*n, false);
}

/* Writes it, again and again while there is no room. False: the end came first. */
static bool put(struct live_fill *fill, struct drive *drive, uint64_t offset, const void *from,
		uint64_t n)
{
	for (;;) {
		int sys = drive_overlay_fill(drive, offset, from, n);

		if (sys == 0)
			break;
		if (!fill->told_full)
			watcher_warn(fill->watcher, "filling stands still: %s; it is tried again",
				     strerror(sys));
		fill->told_full = true;
		rest(fill, FULL_MS);
		if (ends(fill))
			return false;
	}
	return true;
}

/* A flush of the guest has to wait for all that is not on the disk yet. */
static void hurry(int fd, uint64_t offset, uint64_t n)
{
	if (fd < 0)
		return;
	writeback_range(fd, offset, n, SYNC_FILE_RANGE_WRITE);
	if (offset >= BEHIND)
		writeback_range(fd, offset - BEHIND, n,
				SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					SYNC_FILE_RANGE_WAIT_AFTER);
}

/* As base/pace.h, but the end need not wait for it. */
static void pace(struct live_fill *fill, uint64_t n)
{
	uint64_t rate = pace_at(fill->rate, (int64_t)(clock_real_ns() / 1000000000u));
	int64_t now = clock_ms();

	if (rate == 0)
		return;
	fill->due_ms =
		(fill->due_ms < now - 100 ? now - 100 : fill->due_ms) + (int64_t)(n * 1000 / rate);
	if (fill->due_ms > now)
		rest(fill, fill->due_ms - now);
}

/* Of what is missing there the first part. *n: how much that was. False: the end came. */
static bool fill_part(struct live_fill *fill, const struct live_fill_drive *one, uint64_t offset,
		      uint64_t *n)
{
	const struct device_drive *drive = one->drive;
	uint64_t run = *n;
	bool zero = false;

	if (view_status(drive->view, drive->number, offset, &run, &zero) != 0)
		zero = false;
	if (run < BLOCK_SIZE) /* a part of a block is read with the rest */
		zero = false;
	*n = least(*n, run < BLOCK_SIZE ? BLOCK_SIZE : run - run % BLOCK_SIZE);
	if (zero) {
		*n = least(*n, ZEROS_MAX);
		return put(fill, drive->drive, offset, NULL, *n);
	}
	*n = least(*n, PIECE - offset % PIECE);
	if (read_some(fill, drive, offset, n) != 0) {
		atomic_fetch_add(&fill->damaged_bytes, *n);
		return !ends(fill);
	}
	if (!put(fill, drive->drive, offset, fill->room, *n))
		return false;
	atomic_fetch_add(&fill->written_bytes, *n);
	hurry(one->fd, offset, *n);
	pace(fill, *n);
	return true;
}

static bool fill_drive(struct live_fill *fill, const struct live_fill_drive *one)
{
	uint64_t offset = 0, end = 0, n;

	while (drive_overlay_missing(one->drive->drive, &offset, &n)) {
		if (ends(fill) || !fill_part(fill, one, offset, &n))
			return false;
		offset += n;
		atomic_fetch_add(&fill->covered_bytes, offset - end);
		end = offset;
	}
	atomic_fetch_add(&fill->covered_bytes, drive_size(one->drive->drive) - end);
	return true;
}

static bool anything_missing(const struct live_fill *fill)
{
	for (uint32_t i = 0; i < fill->n_drives; i++) {
		uint64_t offset = 0, n;

		if (drive_overlay_missing(fill->drives[i].drive->drive, &offset, &n))
			return true;
	}
	return false;
}

/* Guests may cure what is damaged, by writing it. */
static void *fill_thread(void *argument)
{
	struct live_fill *fill = argument;
	bool told = false;

	while (anything_missing(fill)) {
		atomic_store(&fill->damaged_bytes, 0);
		atomic_store(&fill->covered_bytes, 0);
		for (uint32_t i = 0; i < fill->n_drives; i++) {
			if (!fill_drive(fill, &fill->drives[i]))
				return NULL;
		}
		if (atomic_load(&fill->damaged_bytes) == 0)
			continue;
		if (!told)
			watcher_warn(fill->watcher,
				     "%llu bytes cannot be read from the archive; the machine gets "
				     "an error there until it writes them",
				     (unsigned long long)atomic_load(&fill->damaged_bytes));
		told = true;
		rest(fill, AGAIN_MS);
		if (ends(fill))
			return NULL;
	}
	atomic_store(&fill->filled, true);
	return NULL;
}

int live_fill_start(struct live_fill *out, const struct live_fill_drive *drives, uint32_t n_drives,
		    uint64_t rate, const struct watcher *watcher, struct error *err)
{
	int sys;

	*out = (struct live_fill){.drives = drives, .n_drives = n_drives, .watcher = watcher};
	pthread_mutex_init(&out->lock, NULL);
	clock_cond_init(&out->changed);
	out->rate = rate;
	out->room = malloc(PIECE);
	if (out->room == NULL)
		return fail_memory(err);
	sys = pthread_create(&out->thread, NULL, fill_thread, out);
	if (sys != 0)
		return fail_start(err, sys, "cannot start a thread");
	out->started = true;
	return 0;
}

void live_fill_end(struct live_fill *fill)
{
	if (fill->n_drives == 0)
		return;
	pthread_mutex_lock(&fill->lock);
	fill->ends = true;
	pthread_cond_broadcast(&fill->changed);
	pthread_mutex_unlock(&fill->lock);
	if (fill->started)
		pthread_join(fill->thread, NULL);
	fill->started = false;
	free(fill->room);
	fill->room = NULL;
}
