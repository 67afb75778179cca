/*
 * What a guest's request does for a mirror: nothing here waits for the target.
 */
#include "cow/mirror_parts.h"

#include "base/bits.h"
#include "base/clock.h"

#define LATE_BYTES ((int64_t)4 << 20) /* left to copy before guests are slowed down */
#define HOLD_STEP  2		      /* ms until it is looked again */

bool mirror_is_over_once(const struct mirror *mirror)
{
	for (unsigned i = 0; i < mirror->n_lanes; i++) {
		if (atomic_load(&mirror->lanes[i].n_passes) == 0)
			return false;
	}
	return true;
}

/* ---- marks ---- */

/* Blocks of one cluster. */
static void mark_part(struct mirror *mirror, uint64_t cluster, uint64_t first, uint64_t end)
{
	unsigned mask = (0xffffu << first % CLUSTER_BLOCKS) & 0xffffu;
	unsigned before;

	if (end % CLUSTER_BLOCKS != 0)
		mask &= 0xffffu >> (CLUSTER_BLOCKS - end % CLUSTER_BLOCKS);
	if (bits_test_atomic(mirror->whole, cluster))
		return; /* it is still to be read, all of it */
	before = atomic_fetch_or(&mirror->masks[cluster], (uint16_t)mask);
	atomic_fetch_add(&mirror->left_bytes,
			 (int64_t)__builtin_popcount(mask & ~before) * BLOCK_SIZE);
	if (!bits_test_atomic(mirror->parts, cluster))
		bits_set_atomic(mirror->parts, cluster, cluster + 1);
}

void mirror_mark_whole(struct mirror *mirror, uint64_t first, uint64_t end)
{
	uint64_t n = bits_set_atomic(mirror->whole, first, end);

	atomic_fetch_add(&mirror->left_bytes, (int64_t)(n * CLUSTER_SIZE));
}

void mirror_mark(struct mirror *mirror, uint64_t offset, uint64_t n)
{
	uint64_t end = offset + n, first = offset / CLUSTER_SIZE, last = clusters_of(end);

	/* What was written before is seen by whoever takes a mark away after this. */
	atomic_thread_fence(memory_order_seq_cst);
	while (first < last) {
		uint64_t from = first * CLUSTER_SIZE, until = least(from + CLUSTER_SIZE, end);
		if (offset <= from && (until == from + CLUSTER_SIZE || end == mirror->size_bytes)) {
			uint64_t whole = end == mirror->size_bytes ? last : end / CLUSTER_SIZE;
			mirror_mark_whole(mirror, first, whole);
			first = whole;
			continue;
		}
		from = from > offset ? from : offset;
		mark_part(mirror, first, from / BLOCK_SIZE, (until + BLOCK_SIZE - 1) / BLOCK_SIZE);
		first++;
	}
}

/* ---- guests that are too fast ---- */

bool mirror_is_stalled(const struct mirror *mirror)
{
	int64_t moved_ms = atomic_load_explicit(&mirror->moved_ms, memory_order_relaxed);

	return atomic_load(&mirror->left_bytes) > 0 && clock_ms() - moved_ms > MIRROR_STALL_MS;
}

/* Each pass has to leave a quarter less than the one before. */
bool mirror_is_late(const struct mirror *mirror)
{
	int64_t left, most;

	if (!atomic_load_explicit(&mirror->may_hold, memory_order_relaxed))
		return false;
	left = atomic_load_explicit(&mirror->left_bytes, memory_order_relaxed);
	most = atomic_load_explicit(&mirror->left_at_pass, memory_order_relaxed) / 4 * 3;
	if (left <= LATE_BYTES || left <= most || !mirror_is_over_once(mirror))
		return false;
	return !mirror_is_stalled(mirror) && !atomic_load(&mirror->failed) &&
	       !atomic_load(&mirror->stopping) && !atomic_load(&mirror->hurry);
}

void mirror_hold_back(struct mirror *mirror)
{
	int64_t until_ms = clock_ms() + MIRROR_HOLD_MS;

	atomic_fetch_add(&mirror->held_writes, 1);
	while (mirror_is_late(mirror) && clock_ms() < until_ms)
		clock_sleep_ms(HOLD_STEP);
}
