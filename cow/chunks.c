#include "cow/chunks.h"

/* A guest may be at work, and waits when the buffer is full. */
static int next_chunk(void *context, struct chunk_piece *piece, struct error *err)
{
	int got = buffer_next(context, &piece->chunk, BUFFER_FOR_WORK, err);

	piece->loan = piece->chunk;
	piece->beside_guests = true;
	return got;
}

static void give_back(void *buffer, void *chunk)
{
	buffer_release(buffer, chunk);
}

struct chunk_source buffer_chunks(struct buffer *buffer)
{
	return (struct chunk_source){
		.context = buffer,
		.piece_clusters = CHUNK_CLUSTERS,
		.next = next_chunk,
		.give_back = give_back,
	};
}
