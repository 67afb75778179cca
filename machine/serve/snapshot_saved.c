/*
 * What guests overwrite.
 */
#include "machine/serve/snapshot_parts.h"

#include "base/bits.h"
#include "machine/kinds.h"

#include <errno.h>
#include <unistd.h>

void snapshot_lose(struct snapshot *snapshot, const struct error *why)
{
	pthread_mutex_lock(&snapshot->lock);
	if (!snapshot->lost)
		snapshot->why = *why;
	snapshot->lost = true;
	pthread_cond_broadcast(&snapshot->came);
	pthread_mutex_unlock(&snapshot->lock);
}

static int put_cluster(struct snapshot *snapshot, const struct chunk_cluster *at,
		       const uint8_t *bytes, struct error *err)
{
	struct snapshot_drive *shown = &snapshot->shown[at->drive];
	uint64_t place = shown->base + at->cluster * CLUSTER_SIZE;
	size_t done = 0;

	while (done < CLUSTER_SIZE) {
		ssize_t n = pwrite(snapshot->scratch, bytes + done, CLUSTER_SIZE - done,
				   (off_t)(place + done));

		if (n < 0 && errno != EINTR)
			return fail_system(err, errno, "the scratch file");
		done += n > 0 ? (size_t)n : 0;
	}
	bits_set_atomic(shown->saved, at->cluster, at->cluster + 1);
	return 0;
}

/* The scratch file has zeros where nothing was written, and each cluster comes once. */
static int put_chunk(struct snapshot *snapshot, const struct chunk *chunk, struct error *err)
{
	int code = 0;

	for (uint32_t i = 0; i < chunk->n_clusters && code == 0; i++)
		code = put_cluster(snapshot, &chunk->clusters[i],
				   chunk->bytes + (size_t)i * CLUSTER_SIZE, err);
	for (uint32_t i = 0; i < chunk->n_zeros; i++) {
		const struct chunk_zeros *zeros = &chunk->zeros[i];

		bits_set_atomic(snapshot->shown[zeros->drive].saved, zeros->cluster,
				zeros->cluster + zeros->n_clusters);
	}
	return code;
}

void *snapshot_take(void *context)
{
	struct snapshot *snapshot = context;
	const struct chunk_source *source;
	struct chunk_piece piece = {0};
	struct error err = {0};
	int got, code = 0;

	machine_serve.chunks(snapshot->client, CHUNK_CLUSTERS, &source, &err);
	while (code == 0 && (got = source->next(source->context, &piece, &err)) != 0) {
		code = got < 0 ? got : put_chunk(snapshot, piece.chunk, &err);
		if (got > 0)
			source->give_back(source->context, piece.loan);
		pthread_mutex_lock(&snapshot->lock);
		pthread_cond_broadcast(&snapshot->came);
		pthread_mutex_unlock(&snapshot->lock);
	}
	if (code < 0)
		snapshot_lose(snapshot, &err);
	return NULL;
}

bool snapshot_is_saved(const struct snapshot_drive *shown, uint64_t cluster)
{
	return bits_find_atomic(shown->saved, cluster, cluster + 1, true) == cluster;
}

bool snapshot_is_lost(struct snapshot *snapshot)
{
	bool lost;

	pthread_mutex_lock(&snapshot->lock);
	lost = snapshot->lost;
	pthread_mutex_unlock(&snapshot->lock);
	return lost;
}

void snapshot_await(const struct snapshot_drive *shown, uint64_t cluster)
{
	struct snapshot *snapshot = shown->snapshot;

	pthread_mutex_lock(&snapshot->lock);
	while (!snapshot->lost && !snapshot_is_saved(shown, cluster))
		pthread_cond_wait(&snapshot->came, &snapshot->lock);
	pthread_mutex_unlock(&snapshot->lock);
}

int snapshot_read_saved(const struct snapshot_drive *shown, uint64_t cluster, uint8_t *to)
{
	size_t done = 0;

	while (done < CLUSTER_SIZE) {
		ssize_t n = pread(shown->snapshot->scratch, to + done, CLUSTER_SIZE - done,
				  (off_t)(shown->base + cluster * CLUSTER_SIZE + done));

		if (n <= 0 && (n == 0 || errno != EINTR))
			return n == 0 ? EIO : errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}
