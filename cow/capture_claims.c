/*
 * Which clusters are saved, and which of them a thread is saving now.
 */
#include "cow/capture_state.h"

#include "base/bits.h"

#define BATCH (64u * 1024) /* most clusters marked while the lock is held */

uint64_t saved_until(const struct captured *captured, uint64_t first, uint64_t end)
{
	if (atomic_load_explicit(&captured->capture->failed, memory_order_relaxed))
		return end;
	return bits_find_atomic(captured->saved, first, end, false);
}

/* The old data is in the buffer before any thread that sees the bit can write. */
static void mark_locked(struct captured *captured, uint64_t first, uint64_t end)
{
	captured->capture->todo_clusters -= end - first;
	bits_set_atomic(captured->saved, first, end);
}

static const struct claim *claim_at_locked(const struct captured *captured, uint64_t cluster)
{
	const struct claim *claim = captured->capture->claims;

	while (claim != NULL &&
	       (claim->captured != captured || cluster < claim->first || cluster >= claim->end))
		claim = claim->next;
	return claim;
}

/* The first cluster from at on that is neither saved nor claimed, or end. Sets *busy when it passed
 * one that is claimed. */
static uint64_t find_free_locked(const struct captured *captured, uint64_t at, uint64_t end,
				 bool *busy)
{
	while ((at = bits_find_atomic(captured->saved, at, end, false)) < end) {
		const struct claim *claim = claim_at_locked(captured, at);
		if (claim == NULL)
			break;
		*busy = true;
		at = least(claim->end, end);
	}
	return at;
}

/* The end of the run of free clusters that begins at at. */
static uint64_t free_until_locked(const struct captured *captured, uint64_t at, uint64_t end)
{
	end = bits_find_atomic(captured->saved, at, end, true);
	for (const struct claim *claim = captured->capture->claims; claim != NULL;
	     claim = claim->next) {
		if (claim->captured == captured && claim->first >= at && claim->first < end)
			end = claim->first;
	}
	return end;
}

static void wait_locked(struct capture *capture)
{
	capture->n_waiting++;
	pthread_cond_wait(&capture->settled, &capture->lock);
	capture->n_waiting--;
}

static void wake_locked(struct capture *capture)
{
	if (capture->n_waiting > 0)
		pthread_cond_broadcast(&capture->settled);
}

bool claim_some(struct claim *claim, struct captured *captured, const uint64_t range[2],
		uint32_t max, bool wait)
{
	struct capture *capture = captured->capture;
	uint64_t first = 0, end = range[1];
	bool found = false, busy = true;

	pthread_mutex_lock(&capture->lock);
	while (busy && !capture->failed) {
		busy = false;
		first = find_free_locked(captured, range[0], end, &busy);
		found = first < end;
		if (found || !wait)
			break;
		if (busy)
			wait_locked(capture);
	}
	found = found && !capture->failed;
	if (found) {
		end = free_until_locked(captured, first, least(end, first + max));
		*claim = (struct claim){captured, first, end, capture->claims};
		capture->claims = claim;
	}
	pthread_mutex_unlock(&capture->lock);
	return found;
}

static void unlink_locked(struct capture *capture, const struct claim *claim)
{
	struct claim **link = &capture->claims;

	while (*link != claim)
		link = &(*link)->next;
	*link = claim->next;
}

void claim_settle(struct claim *claim, uint64_t n)
{
	struct capture *capture = claim->captured->capture;

	pthread_mutex_lock(&capture->lock);
	mark_locked(claim->captured, claim->first, claim->first + n);
	claim->first += n;
	if (claim->first == claim->end)
		unlink_locked(capture, claim);
	wake_locked(capture);
	pthread_mutex_unlock(&capture->lock);
}

void claim_drop(struct claim *claim)
{
	struct capture *capture = claim->captured->capture;

	pthread_mutex_lock(&capture->lock);
	unlink_locked(capture, claim);
	wake_locked(capture);
	pthread_mutex_unlock(&capture->lock);
}

/* False: the chunk has no room for another run. */
static bool add_zeros(struct chunk *chunk, uint32_t drive, uint64_t first, uint64_t end)
{
	struct chunk_zeros *last = chunk->n_zeros > 0 ? &chunk->zeros[chunk->n_zeros - 1] : NULL;

	if (last != NULL && last->drive == drive && last->cluster + last->n_clusters == first) {
		last->n_clusters += end - first;
		return true;
	}
	if (chunk->n_zeros == CHUNK_ZEROS)
		return false;
	chunk->zeros[chunk->n_zeros++] = (struct chunk_zeros){drive, first, end - first};
	return true;
}

static bool take_batch_locked(struct captured *captured, uint64_t *at, uint64_t end,
			      struct chunk *chunk)
{
	bool busy;

	while (*at < end) {
		uint64_t first = find_free_locked(captured, *at, end, &busy);
		*at = first;
		if (first == end)
			break;
		uint64_t to = free_until_locked(captured, first, end);
		if (!add_zeros(chunk, captured->number, first, to))
			return false;
		mark_locked(captured, first, to);
		captured->capture->zero_clusters += to - first;
		*at = to;
	}
	return true;
}

void take_zeros(struct captured *captured, uint64_t *at, uint64_t end, struct chunk *chunk)
{
	struct capture *capture = captured->capture;
	bool fits = true;

	while (*at < end && fits) {
		pthread_mutex_lock(&capture->lock);
		fits = take_batch_locked(captured, at, least(end, *at + BATCH), chunk);
		wake_locked(capture);
		pthread_mutex_unlock(&capture->lock);
	}
}

void end_if_all_saved(struct capture *capture)
{
	if (capture->todo_clusters == 0)
		buffer_end(capture->buffer);
}

void capture_fail(struct capture *capture, const struct error *why)
{
	buffer_fail(capture->buffer, why);
	pthread_mutex_lock(&capture->lock);
	capture->failed = true;
	wake_locked(capture);
	pthread_mutex_unlock(&capture->lock);
}
