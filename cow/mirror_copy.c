#include "cow/mirror_parts.h"

#include "base/background.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/pace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define LANE_BYTES (LANE_CLUSTERS * CLUSTER_SIZE)
#define WRITE_MAX                                                                             \
	(256u << 10)	    /* longer writes make the kernel look for larger pieces of memory \
			     */
#define RUN_MAX	     16384u /* clusters taken at once: a hole is made in one piece */
#define COMPARE_MS   2000
#define LOOK_MS	     1000
#define IDLE_BUSY_MS 4 /* until it is looked again, while a guest is active */
#define IDLE_MS	     50
#define HURRY_NS     100000 /* the same, during a pivot */

void mirror_wake(struct mirror *mirror)
{
	pthread_mutex_lock(&mirror->lock);
	pthread_cond_broadcast(&mirror->changed);
	pthread_mutex_unlock(&mirror->lock);
}

void mirror_fail(struct mirror *mirror, const struct error *why)
{
	pthread_mutex_lock(&mirror->lock);
	if (!atomic_load(&mirror->failed))
		mirror->err = *why;
	atomic_store(&mirror->failed, true);
	pthread_cond_broadcast(&mirror->changed);
	pthread_mutex_unlock(&mirror->lock);
}

static bool is_over(const struct mirror *mirror)
{
	return atomic_load(&mirror->stopping) || atomic_load(&mirror->failed);
}

/* ---- writing to the target ---- */

static int fail_target(int sys, uint64_t offset, struct error *err)
{
	return sys == 0 ? 0 : fail_system(err, sys, "the target: writing at byte %" PRIu64, offset);
}

/* n bytes, by pieces. */
static int put_data(struct mirror *mirror, uint64_t offset, const uint8_t *bytes, uint64_t n,
		    struct error *err)
{
	for (uint64_t at = 0; at < n; at += WRITE_MAX) {
		uint32_t part = (uint32_t)least(n - at, WRITE_MAX);
		int sys = drive_write(mirror->target, offset + at, bytes + at, part, DRIVE_BEHIND);
		if (sys != 0)
			return fail_target(sys, offset + at, err);
	}
	return 0;
}

static int put_zeros(struct mirror *mirror, uint64_t offset, uint64_t n, struct error *err)
{
	return fail_target(drive_zero(mirror->target, offset, n, DRIVE_MAY_TRIM), offset, err);
}

static bool is_fresh(const struct mirror *mirror, uint64_t cluster)
{
	return mirror->fresh != NULL && bits_test(mirror->fresh, cluster);
}

/* Nothing is fresh that was written to. */
static void spoil(const struct mirror *mirror, uint64_t cluster)
{
	if (mirror->fresh != NULL)
		mirror->fresh[cluster / 64] &= ~(UINT64_C(1) << cluster % 64);
}

static uint64_t end_of(const struct mirror *mirror, uint64_t cluster)
{
	return least(cluster * CLUSTER_SIZE, mirror->size_bytes);
}

/* Clusters that hold zeros. */
static int zero_clusters(struct mirror *mirror, uint64_t first, uint64_t end, struct error *err)
{
	while (first < end) {
		uint64_t at = first;
		while (at < end && !is_fresh(mirror, at))
			at++;
		if (at > first)
			TRY(put_zeros(mirror, first * CLUSTER_SIZE,
				      end_of(mirror, at) - first * CLUSTER_SIZE, err));
		while (at < end && is_fresh(mirror, at))
			at++;
		first = at;
	}
	return 0;
}

static bool holds_zeros(const struct mirror *mirror, uint64_t cluster, const uint8_t *bytes)
{
	uint64_t offset = cluster * CLUSTER_SIZE;

	return all_zero(bytes, end_of(mirror, cluster + 1) - offset);
}

/* Clusters that were read; runs of zeros among them become holes. */
static int put_clusters(struct mirror *mirror, uint64_t first, uint64_t end, const uint8_t *bytes,
			struct error *err)
{
	uint64_t at = first;

	while (at < end) {
		const uint8_t *from = bytes + (at - first) * CLUSTER_SIZE;
		bool zeros = holds_zeros(mirror, at, from);
		uint64_t next = at + 1;
		while (next < end &&
		       holds_zeros(mirror, next, bytes + (next - first) * CLUSTER_SIZE) == zeros)
			next++;
		for (uint64_t i = at; i < next && !zeros; i++)
			spoil(mirror, i);
		if (zeros)
			TRY(zero_clusters(mirror, at, next, err));
		else
			TRY(put_data(mirror, at * CLUSTER_SIZE, from,
				     end_of(mirror, next) - at * CLUSTER_SIZE, err));
		at = next;
	}
	return 0;
}

/* ---- copying ---- */

static void note_moved(struct mirror *mirror)
{
	atomic_store_explicit(&mirror->moved_ms, clock_ms(), memory_order_relaxed);
}

static uint64_t rate_of(const struct mirror *mirror)
{
	uint64_t rate = atomic_load(&mirror->rate);

	return rate == 0 ? 0 : rate / mirror->n_lanes + (rate < mirror->n_lanes);
}

/* In small parts, as the rate may be changed, or the mirror be ended, meanwhile. */
static void keep_pace(struct mirror *mirror, struct pace *pace, uint64_t n)
{
	uint64_t part, rate;

	for (; n > 0 && (rate = rate_of(mirror)) != 0; n -= part) {
		if (atomic_load(&mirror->hurry) || atomic_load(&mirror->stopping))
			break;
		if (rate != pace->bytes_per_s)
			pace_start(pace, rate);
		part = least(n, rate / 10 + 1);
		pace_wait(pace, part);
	}
	if (volume_guest_is_active(mirror->volume))
		background_pause();
}

/* The most clusters to read at once, so that a low rate is held smoothly. */
static uint64_t step_of(const struct mirror *mirror)
{
	uint64_t rate = atomic_load(&mirror->rate) / mirror->n_lanes;
	uint64_t n = rate / 10 / CLUSTER_SIZE;

	return rate == 0 || n > LANE_CLUSTERS ? LANE_CLUSTERS : n > 0 ? n : 1;
}

/* A part of the run [first, end): returns where it ends. */
static uint64_t copy_step(struct lane *lane, uint64_t first, uint64_t end, struct error *err)
{
	struct mirror *mirror = lane->mirror;
	uint64_t offset = first * CLUSTER_SIZE;
	uint64_t zeros = drive_zeros(mirror->source, offset), n = zeros / CLUSTER_SIZE;

	if (offset + zeros == mirror->size_bytes)
		n = end - first;
	if (n > 0) {
		n = least(n, end - first);
		return zero_clusters(mirror, first, first + n, err) < 0 ? first : first + n;
	}
	n = least(step_of(mirror), end - first);
	if (drive_read_clusters(mirror->source, first, n, lane->buffer, err) < 0 ||
	    put_clusters(mirror, first, first + n, lane->buffer, err) < 0)
		return first;
	atomic_fetch_add(&mirror->copied_bytes, end_of(mirror, first + n) - offset);
	return first + n;
}

/* What is left of the run when the mirror is over is nowhere marked any more; the pass did not get
 * so far. */
static int copy_run(struct lane *lane, uint64_t first, uint64_t end, struct pace *pace,
		    struct error *err)
{
	struct mirror *mirror = lane->mirror;
	uint64_t at = first;

	bits_clear_atomic(mirror->whole, first, end);
	while (at < end && !is_over(mirror)) {
		uint64_t before = atomic_load(&mirror->copied_bytes);
		uint64_t next = copy_step(lane, at, end, err);
		if (next == at)
			return err->code;
		note_moved(mirror);
		keep_pace(mirror, pace,
			  least(atomic_load(&mirror->copied_bytes) - before,
				(next - at) * CLUSTER_SIZE));
		atomic_fetch_sub(&mirror->left_bytes, (int64_t)((next - at) * CLUSTER_SIZE));
		at = next;
	}
	return 0;
}

static int copy_blocks(struct lane *lane, uint64_t offset, uint64_t n, struct error *err)
{
	struct mirror *mirror = lane->mirror;

	TRY(drive_read(mirror->source, offset, lane->buffer, n, err));
	if (all_zero(lane->buffer, n)) {
		if (is_fresh(mirror, offset / CLUSTER_SIZE))
			return 0;
		if (drive_zeros(mirror->source, offset) >= n)
			return put_zeros(mirror, offset, n, err);
	}
	spoil(mirror, offset / CLUSTER_SIZE);
	TRY(put_data(mirror, offset, lane->buffer, n, err));
	atomic_fetch_add(&mirror->copied_bytes, n);
	return 0;
}

static int copy_parts(struct lane *lane, uint64_t cluster, struct pace *pace, struct error *err)
{
	struct mirror *mirror = lane->mirror;
	unsigned mask, first, end, n_blocks = 0;

	bits_clear_atomic(mirror->parts, cluster, cluster + 1);
	mask = atomic_exchange(&mirror->masks[cluster], 0);
	for (first = 0; first < CLUSTER_BLOCKS; first = end) {
		end = first + 1;
		if (!(mask >> first & 1))
			continue;
		while (end < CLUSTER_BLOCKS && (mask >> end & 1))
			end++;
		uint64_t offset = cluster * CLUSTER_SIZE + first * BLOCK_SIZE;
		uint64_t n = least((end - first) * BLOCK_SIZE, mirror->size_bytes - offset);
		TRY(copy_blocks(lane, offset, n, err));
		n_blocks += end - first;
	}
	note_moved(mirror);
	keep_pace(mirror, pace, (uint64_t)n_blocks * BLOCK_SIZE);
	atomic_fetch_sub(&mirror->left_bytes, (int64_t)(n_blocks * BLOCK_SIZE));
	return 0;
}

/* ---- passes ---- */

/* The next cluster of this lane from its cursor on that has a mark; n_clusters: none. */
static uint64_t find_marked(const struct lane *lane)
{
	const struct mirror *mirror = lane->mirror;
	uint64_t at = lane->cursor, end = mirror->n_clusters, stripe;

	while (at < end) {
		stripe = at / LANE_STRIPE;
		uint64_t until =
			mirror->n_lanes == 1 ? end : least((stripe + 1) * LANE_STRIPE, end);
		if (stripe % mirror->n_lanes == lane->index || mirror->n_lanes == 1) {
			uint64_t whole = bits_find_atomic(mirror->whole, at, until, true);
			uint64_t found = bits_find_atomic(mirror->parts, at, whole, true);
			if (found < until)
				return found;
		}
		at = until;
	}
	return end;
}

static int copy_next(struct lane *lane, uint64_t at, struct pace *pace, struct error *err)
{
	struct mirror *mirror = lane->mirror;
	uint64_t limit = mirror->n_lanes == 1 ? RUN_MAX : LANE_STRIPE - at % LANE_STRIPE, end;

	/* Of data little at a time: between two runs it is noted how far the copy is, and flushed.
	 */
	if (drive_zeros(mirror->source, at * CLUSTER_SIZE) < CLUSTER_SIZE)
		limit = least(limit, LANE_CLUSTERS);

	if (!bits_test_atomic(mirror->whole, at)) {
		TRY(copy_parts(lane, at, pace, err));
		lane->cursor = at + 1;
		return 0;
	}
	end = bits_find_atomic(mirror->whole, at, least(at + limit, mirror->n_clusters), false);
	TRY(copy_run(lane, at, end, pace, err));
	/* Blocks of them may be marked, too: they were changed after that. */
	lane->cursor = end;
	return 0;
}

/* By one lane, for all. Passes may be short: whether it gets any better is judged in seconds. */
static void compare_passes(struct mirror *mirror)
{
	int64_t left = atomic_load(&mirror->left_bytes), now_ms = clock_ms();

	atomic_store(&mirror->left_at_pass, left);
	if (now_ms - mirror->compared_ms < COMPARE_MS)
		return;
	if (mirror_is_over_once(mirror) && left > (int64_t)MIRROR_SYNC_BYTES &&
	    left > mirror->compared_left)
		atomic_fetch_add(&mirror->n_worse, 1);
	else
		atomic_store(&mirror->n_worse, 0);
	mirror->compared_ms = now_ms;
	mirror->compared_left = left;
}

static void rest(const struct lane *lane)
{
	struct mirror *mirror = lane->mirror;
	bool active = volume_guest_is_active(mirror->volume);
	int64_t until_ms = clock_ms() + (active ? IDLE_BUSY_MS : IDLE_MS);
	int late = 0;

	if (atomic_load(&mirror->left_bytes) == 0)
		note_moved(mirror);
	pthread_mutex_lock(&mirror->lock);
	/* That other lanes have ended a pass is no reason to begin one: they would keep each other
	 * awake. */
	while (late == 0 && !atomic_load(&mirror->hurry) && !is_over(mirror) &&
	       (lane->index != 0 || mirror->flushes_asked == mirror->flushes_done))
		late = clock_cond_wait(&mirror->changed, &mirror->lock, until_ms);
	pthread_mutex_unlock(&mirror->lock);
	if (atomic_load(&mirror->hurry))
		clock_sleep_until_ns(clock_ns() + HURRY_NS);
}

static void end_pass(struct lane *lane, bool found_any)
{
	struct mirror *mirror = lane->mirror;

	lane->cursor = 0;
	atomic_store(&lane->progress, mirror->n_clusters);
	atomic_fetch_add(&lane->n_passes, 1);
	if (lane->index == 0)
		compare_passes(mirror);
	mirror_wake(mirror);
	if (!found_any)
		rest(lane);
}

/* By the first lane: it waits for a target that gives no answer anyway. */
static int look(struct mirror *mirror, struct error *err)
{
	mirror->looked_ms = clock_ms();
	return mirror->watch == NULL ? 0 : mirror->watch->look(mirror->watch, err);
}

static void look_if_due(struct lane *lane)
{
	struct mirror *mirror = lane->mirror;
	struct error err;

	if (lane->index == 0 && clock_ms() - mirror->looked_ms > LOOK_MS && look(mirror, &err) < 0)
		mirror_fail(mirror, &err);
}

/* A flush that someone waits for, by the first lane. */
static void flush_if_asked(struct lane *lane)
{
	struct mirror *mirror = lane->mirror;
	struct error err;
	uint64_t asked;

	pthread_mutex_lock(&mirror->lock);
	asked = mirror->flushes_asked;
	bool any = lane->index == 0 && asked != mirror->flushes_done;
	pthread_mutex_unlock(&mirror->lock);
	if (!any)
		return;
	int sys = drive_flush(mirror->target);
	int code = sys == 0 ? look(mirror, &err) : fail_system(&err, sys, "the target: flushing");
	if (code < 0) {
		mirror_fail(mirror, &err);
		return;
	}
	pthread_mutex_lock(&mirror->lock);
	mirror->flushes_done = asked;
	pthread_cond_broadcast(&mirror->changed);
	pthread_mutex_unlock(&mirror->lock);
}

static void leave(struct mirror *mirror)
{
	pthread_mutex_lock(&mirror->lock);
	mirror->n_running--;
	pthread_cond_broadcast(&mirror->changed);
	pthread_mutex_unlock(&mirror->lock);
}

static void *work(void *context)
{
	struct lane *lane = context;
	struct mirror *mirror = lane->mirror;
	struct pace pace;
	struct error err;
	bool found_any = false;

	background_work(BACKGROUND_SAVES);
	pace_start(&pace, rate_of(mirror));
	while (!is_over(mirror)) {
		flush_if_asked(lane);
		look_if_due(lane);
		uint64_t at = find_marked(lane);
		if (at == mirror->n_clusters) {
			end_pass(lane, found_any);
			found_any = false;
			continue;
		}
		found_any = true;
		if (copy_next(lane, at, &pace, &err) < 0)
			mirror_fail(mirror, &err);
		else if (!is_over(mirror) && atomic_load(&lane->n_passes) == 0)
			atomic_store(&lane->progress, lane->cursor);
	}
	leave(mirror);
	return NULL;
}

int lanes_start(struct mirror *mirror, struct error *err)
{
	for (unsigned i = 0; i < mirror->n_lanes; i++) {
		struct lane *lane = &mirror->lanes[i];

		lane->mirror = mirror;
		lane->index = i;
		lane->buffer = malloc(LANE_BYTES);
		if (lane->buffer == NULL)
			return fail_memory(err);
		pthread_mutex_lock(&mirror->lock);
		int sys = pthread_create(&lane->thread, NULL, work, lane);
		lane->started = sys == 0;
		mirror->n_running += lane->started;
		pthread_mutex_unlock(&mirror->lock);
		if (sys != 0)
			return fail_start(err, sys, "cannot start a thread");
	}
	return 0;
}
