/*
 * Reading of a capture where somebody likes. A cluster that is not saved is claimed while it is
 * read, so a guest that wants to change it waits for that read, and stays as it was; then the claim
 * is dropped, and the guest saves it as ever.
 */
#include "base/bits.h"
#include "cow/capture_state.h"
#include "drive/drive.h"

int capture_peek(struct capture *capture, uint32_t i, uint64_t cluster, uint8_t *to,
		 struct error *err)
{
	struct captured *captured = &capture->captured[i];
	const uint64_t range[2] = {cluster, cluster + 1};
	struct claim claim;
	int code;

	if (!claim_some(&claim, captured, range, 1, true))
		return 0;
	code = drive_read_clusters(captured->drive, cluster, 1, to, err);
	claim_drop(&claim);
	if (code < 0)
		return code;
	return capture->failed ? 0 : 1; /* from then on guests do not wait */
}

/* What is not saved after the question has not changed before the answer. */
int capture_peek_zeros(struct capture *capture, uint32_t i, uint64_t cluster, uint64_t *n,
		       bool *zeros, struct error *err)
{
	struct captured *captured = &capture->captured[i];
	uint64_t offset = cluster * CLUSTER_SIZE, n_bytes, end;
	int code;

	pthread_mutex_lock(&capture->pass_lock);
	code = drive_status(captured->drive, offset, &n_bytes, zeros, err);
	pthread_mutex_unlock(&capture->pass_lock);
	TRY(code);
	end = offset + n_bytes >= drive_size(captured->drive) ? captured->n_clusters
							      : cluster + n_bytes / CLUSTER_SIZE;
	if (end == cluster) {
		*zeros = false;
		end++;
	}
	end = bits_find_atomic(captured->saved, cluster, end, true);
	*n = end - cluster;
	return end > cluster && !capture->failed ? 1 : 0;
}
