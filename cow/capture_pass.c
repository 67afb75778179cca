/*
 * The pass over all clusters, drive by drive, window by window, without those that guests have
 * saved.
 */
#include "base/background.h"
#include "cow/capture_state.h"
#include "drive/drive.h"

#include <assert.h>

/* A guest that needs clusters the pass is reading, or its processor, waits for at most this many.
 */
#define CLAIM_MAX 2u

/* Reads a claim into the chunk. */
static int read_claim(struct claim *claim, struct chunk *chunk, struct error *err)
{
	struct captured *captured = claim->captured;
	struct capture *capture = captured->capture;
	uint32_t n = (uint32_t)(claim->end - claim->first);

	assert(chunk->n_clusters + n <= CHUNK_CLUSTERS);
	capture->read_clusters += n;
	int code =
		drive_read_clusters(captured->drive, claim->first, n,
				    chunk->bytes + (size_t)chunk->n_clusters * CLUSTER_SIZE, err);
	if (code != 0) {
		claim_drop(claim);
		return code;
	}
	for (uint32_t i = 0; i < n; i++)
		chunk->clusters[chunk->n_clusters++] =
			(struct chunk_cluster){captured->number, claim->first + i};
	capture->swept_clusters += n;
	claim_settle(claim, n);
	return 0;
}

bool capture_guest_is_active(const struct capture *capture)
{
	bool active = false;

	for (uint32_t i = 0; i < capture->n_captured && !active; i++)
		active = volume_guest_is_active(capture->captured[i].volume);
	return active;
}

static int take_run(struct captured *captured, const struct sweep_run *run, struct chunk *chunk,
		    struct error *err)
{
	uint64_t range[2] = {run->cluster, run->cluster + run->n_clusters};
	struct claim claim;
	int code = 0;

	/* Guests save what they have claimed, so the pass never has to go back. */
	while (code == 0 && claim_some(&claim, captured, range, CLAIM_MAX, false)) {
		range[0] = claim.end;
		code = read_claim(&claim, chunk, err);
		if (capture_guest_is_active(captured->capture))
			background_pause();
	}
	if (run->cold)
		drive_forget(captured->drive, run->cluster * CLUSTER_SIZE,
			     run->n_clusters * CLUSTER_SIZE);
	return code;
}

/* A window with data. Its clusters that are not saved yet fit a chunk. */
static int take_window(struct capture *capture, const struct sweep_piece *piece,
		       struct chunk *chunk, struct error *err)
{
	struct captured *captured = &capture->captured[piece->drive];
	int code = 0;

	for (uint32_t i = 0; i < piece->n_runs && code == 0; i++) {
		const struct sweep_run *run = &piece->runs[i];
		uint64_t at = run->cluster;
		if (run->zero)
			take_zeros(captured, &at, at + run->n_clusters, chunk);
		else
			code = take_run(captured, run, chunk, err);
	}
	return code;
}

/* Takes the rest of a long run of zeros, as far as the chunk has room for runs. */
static void take_zeros_locked(struct capture *capture, struct chunk *chunk)
{
	struct sweep_run *run = &capture->zeros.runs[0];
	uint64_t at = run->cluster, end = at + run->n_clusters;

	take_zeros(&capture->captured[capture->zeros.drive], &at, end, chunk);
	run->cluster = at;
	run->n_clusters = end - at;
}

/* Returns as capture_step does. 1 with piece->n_data 0: zeros were put into the chunk, if any were
 * left. */
static int next_locked(struct capture *capture, struct sweep_piece *piece, struct chunk *chunk,
		       struct error *err)
{
	if (capture->zeros.n_runs == 0 || capture->zeros.runs[0].n_clusters == 0) {
		int code = sweep_next(capture->sweep, piece, err);
		if (code <= 0 || piece->n_data > 0)
			return code;
		capture->zeros = *piece;
	}
	piece->n_data = 0;
	take_zeros_locked(capture, chunk);
	return 1;
}

static int fill_chunk(struct capture *capture, struct chunk *chunk, struct error *err)
{
	struct sweep_piece piece;
	int code = 1;

	while (code > 0 && chunk->n_clusters == 0 && chunk->n_zeros == 0) {
		pthread_mutex_lock(&capture->pass_lock);
		code = next_locked(capture, &piece, chunk, err);
		pthread_mutex_unlock(&capture->pass_lock);
		if (code > 0 && piece.n_data > 0 &&
		    (buffer_get_memory(capture->buffer, chunk, piece.n_data, err) != 0 ||
		     take_window(capture, &piece, chunk, err) != 0))
			code = err->code;
		if (capture->failed)
			break;
	}
	if (code == 0)
		capture->pass_over = true;
	return code;
}

int capture_step(struct capture *capture, struct error *err)
{
	if (capture->pass_over)
		return 0;
	struct chunk *chunk = buffer_take_empty(capture->buffer, false);
	if (chunk == NULL) {
		int code = buffer_error(capture->buffer, err);
		if (code != 0)
			capture_fail(capture, err);
		return code != 0 ? code : 2;
	}
	int code = fill_chunk(capture, chunk, err);
	if (code < 0)
		capture_fail(capture, err);
	buffer_hand_in(capture->buffer, chunk);
	end_if_all_saved(capture);
	return capture->failed ? buffer_error(capture->buffer, err) : code;
}
