/*
 * Where chunks come from, for whoever writes the archive: a buffer in this process, or that of a
 * serve in another.
 */
#ifndef COW_CHUNKS_H
#define COW_CHUNKS_H

#include "cow/buffer.h"

/* One for each worker that takes chunks; zeros at first. next fills in the first four; the others
 * are those of whoever asks, who sets n_given to 0 before. */
struct chunk_piece {
	struct chunk *chunk; /* the one at hand: the source's, or own */
	struct chunk own;    /* for sources that have none to lend */
	void *loan;	     /* for give_back; the source's own */
	bool beside_guests;  /* a guest is at work: leave it the processor now and then */
	bool has_channel;    /* serve: a data channel was taken */
	int channel;
	uint32_t n_given; /* clusters of the chunk that went into batches */
};

struct chunk_source {
	void *context;
	/* A chunk goes out in pieces of so many clusters, the last one of fewer; one without data
	 * is a single piece. CHUNK_CLUSTERS, or with in_any_order fewer: a worker keeps the rest of
	 * its chunk for itself, and must not be ended by another one that finds no more chunks. */
	uint32_t piece_clusters;
	bool in_any_order; /* next may be called by several threads at once */
	/* The next chunk into *piece: 1; 0: there are no more; negative. */
	int (*next)(void *context, struct chunk_piece *piece, struct error *err);
	/* The memory of a piece is no longer needed: once for each piece of a chunk, with its loan.
	 * Any thread. */
	void (*give_back)(void *context, void *loan);
};

/* The chunks of a buffer, whole; it is borrowed. Ends when the buffer does. */
struct chunk_source buffer_chunks(struct buffer *buffer);

#endif
