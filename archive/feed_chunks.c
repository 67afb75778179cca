/*
 * Clusters that were saved for a guest's writes or by a sweep beside it: they are packed in the
 * memory they were saved to, which goes back to its source when it is no longer needed.
 */
#include "archive/feeds.h"

#include "base/background.h"
#include "cow/chunks.h"

#include <assert.h>

static int next_piece(void *context, void *opaque, struct error *err)
{
	const struct chunk_source *source = context;
	struct chunk_piece *piece = opaque;

	if (piece->chunk != NULL)
		return 1;
	piece->n_given = 0;
	return source->next(source->context, piece, err);
}

static void add_zeros(struct batch *batch, const struct chunk *chunk)
{
	for (uint32_t i = 0; i < chunk->n_zeros; i++)
		batch_zeros(batch, chunk->zeros[i].drive, chunk->zeros[i].cluster,
			    chunk->zeros[i].n_clusters);
}

/* Zeros go along with the first piece. After the last one the chunk is no longer looked at: it may
 * be given back at any time then. */
static int fill_batch(void *context, void *opaque, struct batch *batch, struct error *err)
{
	const struct chunk_source *source = context;
	struct chunk_piece *piece = opaque;
	const struct chunk *chunk = piece->chunk;
	uint32_t left = chunk->n_clusters - piece->n_given;
	uint32_t n = left < source->piece_clusters ? left : source->piece_clusters;
	uint8_t *bytes = chunk->bytes + (size_t)piece->n_given * CLUSTER_SIZE;
	bool is_first = piece->n_given == 0;

	(void)err;
	batch_borrow(batch, bytes, source->give_back, source->context, piece->loan);
	for (uint32_t i = 0; i < n; i++, bytes += CLUSTER_SIZE) {
		const struct chunk_cluster *cluster = &chunk->clusters[piece->n_given++];

		batch_cluster(batch, cluster->drive, cluster->cluster, bytes);
		if (piece->n_given % BACKGROUND_STRETCH == 0 && piece->beside_guests)
			background_pause();
	}
	if (is_first)
		add_zeros(batch, chunk);
	if (n == left)
		piece->chunk = NULL;
	return 0;
}

struct feed feed_of_chunks(const struct chunk_source *source)
{
	assert(source->in_any_order || source->piece_clusters == CHUNK_CLUSTERS);
	return (struct feed){
		.context = (void *)(uintptr_t)source,
		.piece_size = sizeof(struct chunk_piece),
		.next = next_piece,
		.in_any_order = source->in_any_order,
		.fill = fill_batch,
	};
}
