#include "archive/feeds.h"

#include "base/background.h"
#include "cow/buffer.h"

static int next_piece(void *context, void *piece, struct error *err)
{
	return buffer_next(context, piece, BUFFER_FOR_WORK, err);
}

static void give_back(void *buffer, void *chunk)
{
	buffer_release(buffer, chunk);
}

static int fill_batch(void *context, void *piece, struct batch *batch, struct error *err)
{
	struct chunk *chunk = *(struct chunk **)piece;

	(void)err;
	batch_borrow(batch, chunk->bytes, give_back, context, chunk);
	for (uint32_t i = 0; i < chunk->n_clusters; i++) {
		batch_cluster(batch, chunk->clusters[i].drive, chunk->clusters[i].cluster,
			      chunk->bytes + (size_t)i * CLUSTER_SIZE);
		if ((i + 1) % BACKGROUND_STRETCH == 0)
			background_pause();
	}
	for (uint32_t i = 0; i < chunk->n_zeros; i++)
		batch_zeros(batch, chunk->zeros[i].drive, chunk->zeros[i].cluster,
			    chunk->zeros[i].n_clusters);
	return 0;
}

struct feed feed_of_buffer(struct buffer *buffer)
{
	return (struct feed){
		.context = buffer,
		.piece_size = sizeof(struct chunk *),
		.next = next_piece,
		.fill = fill_batch,
	};
}
