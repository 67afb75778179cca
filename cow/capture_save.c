/*
 * Saves what a guest write is about to overwrite.
 */
#include "base/bits.h"
#include "base/clock.h"
#include "cow/capture_state.h"
#include "drive/drive.h"

#define CLAIM_MAX 16u /* clusters */
#define NOW_MAX	  4u  /* clusters: limits the work of a thread that others wait for */

/* The number of whole clusters from cluster on, at most max, known to be zeros without reading. */
static uint64_t zeros_at(struct drive *drive, uint64_t cluster, uint64_t max)
{
	uint64_t offset = cluster * CLUSTER_SIZE, n = drive_zeros(drive, offset);
	uint64_t n_clusters = n / CLUSTER_SIZE;

	if (n > 0 && offset + n == drive_size(drive))
		n_clusters = clusters_of(n);
	return least(n_clusters, max);
}

/* With wait false, also 2: the drive would have to wait. */
static int read_one(struct captured *captured, uint64_t cluster, uint8_t *to, bool wait,
		    struct error *err)
{
	if (wait)
		return drive_read_clusters(captured->drive, cluster, 1, to, err);
	if ((cluster + 1) * CLUSTER_SIZE > drive_size(captured->drive))
		return 2;
	return drive_fetch(captured->drive, cluster * CLUSTER_SIZE, to, CLUSTER_SIZE, DRIVE_NOW) ==
			       0
		       ? 0
		       : 2;
}

static int save_one(struct captured *captured, uint64_t cluster, bool wait, struct error *err)
{
	struct capture *capture = captured->capture;
	struct buffer_room room;

	TRY(buffer_put(capture->buffer, &room, wait, err));
	int code = read_one(captured, cluster, room.bytes, wait, err);
	if (code != 0) {
		buffer_give_up(capture->buffer, &room);
		return code;
	}
	capture->read_clusters++;
	buffer_commit(capture->buffer, &room, captured->number, cluster);
	capture->saved_clusters++;
	return 0;
}

static int save_zeros(struct captured *captured, uint64_t cluster, uint64_t n, bool wait,
		      struct error *err)
{
	struct chunk_zeros run = {captured->number, cluster, n};

	TRY(buffer_put_zeros(captured->capture->buffer, &run, wait, err));
	captured->capture->zero_clusters += n;
	return 0;
}

/* Settles each cluster as soon as it is saved, as other threads may wait for it. False: it would
 * have to wait. */
static bool save_claim(struct claim *claim, bool wait)
{
	struct captured *captured = claim->captured;
	struct error err;
	int code = 0;

	while (claim->first < claim->end) {
		uint64_t n = zeros_at(captured->drive, claim->first, claim->end - claim->first);
		if (n > 0) {
			code = save_zeros(captured, claim->first, n, wait, &err);
		} else {
			n = 1;
			code = save_one(captured, claim->first, wait, &err);
		}
		if (code < 0)
			capture_fail(captured->capture, &err);
		if (code != 0) {
			claim_drop(claim);
			return code < 0;
		}
		claim_settle(claim, n);
	}
	end_if_all_saved(captured->capture);
	return true;
}

uint64_t captured_save(struct captured *captured, uint64_t first, uint64_t end)
{
	const uint64_t range[2] = {first, end};
	struct claim claim;

	if (saved_until(captured, first, end) == end)
		return 0;
	int64_t start = clock_ns();
	while (claim_some(&claim, captured, range, CLAIM_MAX, true))
		save_claim(&claim, true);
	int64_t ns = clock_ns() - start;
	return ns > 0 ? (uint64_t)ns : 1;
}

bool captured_save_now(struct captured *captured, uint64_t first, uint64_t end, uint64_t *delay_ns)
{
	const uint64_t range[2] = {first, end};
	int64_t start = clock_ns();
	struct claim claim;
	bool saved = end - first <= NOW_MAX;

	while (saved && claim_some(&claim, captured, range, NOW_MAX, false))
		saved = save_claim(&claim, false);
	*delay_ns = (uint64_t)(clock_ns() - start);
	return saved && saved_until(captured, first, end) == end;
}

void captured_want(struct captured *captured, uint64_t first, uint64_t end)
{
	bits_set_atomic(captured->wanted, first, end);
	captured->capture->todo_clusters += bits_clear_atomic(captured->saved, first, end);
}

void captured_add_delay(struct captured *captured, uint64_t ns)
{
	delays_add(&captured->capture->delays, ns);
}

bool captured_is_pressed(const struct captured *captured)
{
	return buffer_fill(captured->capture->buffer) >= 500;
}
