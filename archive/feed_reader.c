/*
 * Reading one archive and writing another: each extent becomes one piece of work. Extents are read
 * and their headers checked in order; the workers decode their clusters and check them.
 */
#include "archive/feeds.h"

#include "reader/input/input.h"
#include "reader/reader.h"

struct piece {
	struct section extent;
	uint64_t place;
	uint8_t stored[PAYLOAD_SIZE_MAX];
	uint8_t scratch[CLUSTER_SIZE];
};

static int next_piece(void *context, void *opaque, struct error *err)
{
	struct feed_reader *from = context;
	struct piece *piece = opaque;
	int got = reader_next(from->reader, &piece->extent, piece->stored, err);

	piece->place = input_taken(from->in);
	return got;
}

/* The payload is decoded into the buffer of the batch, which packs blocks towards its front. It
 * never overtakes blocks that are still to be added, as they lie in the order of the slots. */
static int fill_batch(void *context, void *opaque, struct batch *batch, struct error *err)
{
	const struct feed_reader *from = context;
	const struct archive *archive = reader_archive(from->reader);
	struct piece *piece = opaque;
	const uint8_t *blocks;

	batch_place(batch, piece->place);
	TRY(extent_open(archive, &piece->extent, piece->stored, batch_buffer(batch), &blocks, err));
	for (uint32_t i = 0; i < piece->extent.n_slots; i++) {
		const struct slot *slot = &piece->extent.slots[i];
		const uint8_t *cluster;

		if (slot->mask == 0) {
			batch_zeros(batch, slot->drive, slot->cluster, slot->n_clusters);
			continue;
		}
		TRY(extent_cluster(archive, &piece->extent, i, blocks, piece->scratch, &cluster,
				   err));
		batch_cluster(batch, slot->drive, slot->cluster, cluster);
		blocks += (size_t)__builtin_popcount(slot->mask) * BLOCK_SIZE;
	}
	return 0;
}

struct feed feed_of_reader(struct feed_reader *from)
{
	return (struct feed){
		.context = from,
		.piece_size = sizeof(struct piece),
		.next = next_piece,
		.fill = fill_batch,
		.has_places = true,
		.total_bytes = input_file_size(from->in),
	};
}
