/*
 * The pass over all clusters: the drives' windows, one after the other, less what guests have
 * saved.
 */
#include "base/background.h"
#include "cow/capture_state.h"
#include "drive/drive.h"

#include <assert.h>

/* A guest that comes upon clusters the pass is reading, or needs its processor, waits for no more
 * than this many. */
#define CLAIM_MAX 2u

/* Reads a claim into the chunk. */
static int read_claim(struct claim *claim, struct chunk *chunk, struct error *err)
{
	struct captured *captured = claim->captured;
	struct capture *capture = captured->capture;
	uint32_t n = (uint32_t)(claim->end - claim->first);

	assert(chunk->n_clusters + n <= CHUNK_CLUSTERS);
	capture->read_clusters += n;
	int rc = drive_read_clusters(captured->drive, claim->first, n,
				     chunk->bytes + (size_t)chunk->n_clusters * CLUSTER_SIZE, err);
	if (rc != 0) {
		claim_drop(claim);
		return rc;
	}
	for (uint32_t i = 0; i < n; i++)
		chunk->clusters[chunk->n_clusters++] =
			(struct chunk_cluster){captured->number, claim->first + i};
	capture->swept_clusters += n;
	claim_settle(claim, n);
	return 0;
}

static int take_run(struct captured *captured, const struct sweep_run *run, struct chunk *chunk,
		    struct error *err)
{
	uint64_t range[2] = {run->cluster, run->cluster + run->n_clusters};
	struct claim claim;
	int rc = 0;

	/* What a guest has claimed is the guest's, so the pass only ever goes forward. */
	while (rc == 0 && claim_some(&claim, captured, range, CLAIM_MAX, false)) {
		range[0] = claim.end;
		rc = read_claim(&claim, chunk, err);
		if (capture_guests_at_work(captured->capture))
			background_pause();
	}
	if (run->cold)
		drive_forget(captured->drive, run->cluster * CLUSTER_SIZE,
			     run->n_clusters * CLUSTER_SIZE);
	return rc;
}

/* A window that has data: what is left of it fits a chunk. */
static int take_window(struct capture *capture, const struct sweep_piece *piece,
		       struct chunk *chunk, struct error *err)
{
	struct captured *captured = &capture->captured[piece->drive];
	int rc = 0;

	for (uint32_t i = 0; i < piece->n_runs && rc == 0; i++) {
		const struct sweep_run *run = &piece->runs[i];
		uint64_t at = run->cluster;
		if (run->zero)
			take_zeros(captured, &at, at + run->n_clusters, chunk);
		else
			rc = take_run(captured, run, chunk, err);
	}
	return rc;
}

/* Uses up what is left of a long run of zeros, as far as the chunk has room for runs. */
static void take_zeros_locked(struct capture *capture, struct chunk *chunk)
{
	struct sweep_run *run = &capture->zeros.runs[0];
	uint64_t at = run->cluster, end = at + run->n_clusters;

	take_zeros(&capture->captured[capture->zeros.drive], &at, end, chunk);
	run->cluster = at;
	run->n_clusters = end - at;
}

/* As capture_step. 1 with *piece->n_data 0: zeros were put into the chunk, if there were any left.
 */
static int next_locked(struct capture *capture, struct sweep_piece *piece, struct chunk *chunk,
		       struct error *err)
{
	if (capture->zeros.n_runs == 0 || capture->zeros.runs[0].n_clusters == 0) {
		int rc = sweep_next(capture->sweep, piece, err);
		if (rc <= 0 || piece->n_data > 0)
			return rc;
		capture->zeros = *piece;
	}
	piece->n_data = 0;
	take_zeros_locked(capture, chunk);
	return 1;
}

static int fill_chunk(struct capture *capture, struct chunk *chunk, struct error *err)
{
	struct sweep_piece piece;
	int rc = 1;

	while (rc > 0 && chunk->n_clusters == 0 && chunk->n_zeros == 0) {
		pthread_mutex_lock(&capture->pass_lock);
		rc = next_locked(capture, &piece, chunk, err);
		pthread_mutex_unlock(&capture->pass_lock);
		if (rc > 0 && piece.n_data > 0 &&
		    (buffer_get_memory(capture->buffer, chunk, piece.n_data, err) != 0 ||
		     take_window(capture, &piece, chunk, err) != 0))
			rc = err->code;
		if (capture->failed)
			break;
	}
	if (rc == 0)
		capture->pass_over = true;
	return rc;
}

int capture_step(struct capture *capture, struct error *err)
{
	if (capture->pass_over)
		return 0;
	struct chunk *chunk = buffer_take_empty(capture->buffer, false);
	if (!chunk) {
		int rc = buffer_error(capture->buffer, err);
		if (rc != 0)
			capture_fail(capture, err);
		return rc != 0 ? rc : 2;
	}
	int rc = fill_chunk(capture, chunk, err);
	if (rc < 0)
		capture_fail(capture, err);
	buffer_hand_in(capture->buffer, chunk);
	end_if_all_saved(capture);
	return capture->failed ? buffer_error(capture->buffer, err) : rc;
}
