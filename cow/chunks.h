/*
 * Where chunks come from, for whoever writes the archive: a buffer in this process, or that of a
 * serve in another.
 */
#ifndef COW_CHUNKS_H
#define COW_CHUNKS_H

#include "cow/buffer.h"

/* One for each worker that takes chunks; zeros at first. */
struct chunk_piece {
	struct chunk *chunk;  /* the one at hand, of the source or own; NULL: none */
	struct chunk own;     /* for sources that have none to lend */
	uint32_t n_given;     /* clusters of it that went into batches */
	bool beside_guests;   /* a guest is at work: leave it the processor now and then */
	bool has_channel;     /* serve: a data channel was taken */
	int channel;
};

struct chunk_source {
	void *context;
	uint32_t piece_clusters; /* a chunk goes out in pieces of so many; 0: as a whole */
	bool in_any_order;	 /* next may be called by several threads at once */
	/* The next chunk into *piece: 1; 0: there are no more; negative. */
	int (*next)(void *context, struct chunk_piece *piece, struct error *err);
	/* The memory of a piece of a chunk is no longer needed. Any thread. */
	void (*give_back)(void *context, void *loan);
};

#endif
