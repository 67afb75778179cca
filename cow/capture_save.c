/*
 * What a guest's write has to save before it may go.
 */
#include "cow/capture_state.h"
#include "cow/drive.h"
#include "cow/volume.h"

#define CLAIM_MAX 16u /* clusters */

/* How many whole clusters from cluster on, at most max, are zeros that need not be read. */
static uint64_t zeros_at(struct drive *drive, uint64_t cluster, uint64_t max)
{
	uint64_t offset = cluster * CLUSTER_SIZE, n = drive_zeros(drive, offset);
	uint64_t n_clusters = n / CLUSTER_SIZE;

	if (n > 0 && offset + n == drive_size(drive))
		n_clusters = clusters_of(n);
	return n_clusters < max ? n_clusters : max;
}

static int save_one(struct captured *captured, uint64_t cluster, struct error *err)
{
	struct capture *capture = captured->capture;
	struct buffer_room room;
	int rc = buffer_put(capture->buffer, &room, err);

	if (rc != 0)
		return rc;
	capture->read_clusters++;
	rc = drive_read_clusters(captured->drive, cluster, 1, room.bytes, err);
	if (rc != 0) {
		buffer_give_up(capture->buffer, &room);
		return rc;
	}
	buffer_commit(capture->buffer, &room, captured->number, cluster);
	capture->saved_clusters++;
	return 0;
}

static int save_zeros(struct captured *captured, uint64_t cluster, uint64_t n, struct error *err)
{
	struct chunk_zeros run = {captured->number, cluster, n};
	int rc = buffer_put_zeros(captured->capture->buffer, &run, err);

	if (rc == 0)
		captured->capture->zero_clusters += n;
	return rc;
}

/* Each cluster is settled as soon as it is saved, for others may wait for it. */
static void save_claim(struct claim *claim)
{
	struct captured *captured = claim->captured;
	struct error err;
	int rc = 0;

	while (claim->first < claim->end) {
		uint64_t n = zeros_at(captured->drive, claim->first, claim->end - claim->first);
		if (n > 0) {
			rc = save_zeros(captured, claim->first, n, &err);
		} else {
			n = 1;
			rc = save_one(captured, claim->first, &err);
		}
		if (rc != 0) {
			capture_fail(captured->capture, &err);
			claim_drop(claim);
			return;
		}
		claim_settle(claim, n);
	}
}

uint64_t captured_save(struct captured *captured, uint64_t first, uint64_t end)
{
	const uint64_t range[2] = {first, end};
	struct claim claim;

	if (saved_until(captured, first, end) == end)
		return 0;
	uint64_t start = monotonic_ns();
	while (claim_some(&claim, captured, range, CLAIM_MAX, true))
		save_claim(&claim);
	uint64_t ns = monotonic_ns() - start;
	return ns > 0 ? ns : 1;
}

void captured_add_delay(struct captured *captured, uint64_t ns)
{
	delays_add(&captured->capture->delays, ns);
}

bool captured_is_pressed(const struct captured *captured)
{
	return buffer_fill(captured->capture->buffer) >= 500;
}
