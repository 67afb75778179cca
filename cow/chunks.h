/*
 * Where the writer of an archive gets chunks from: a buffer in this process, or that of a vmabak
 * serve.
 */
#ifndef COW_CHUNKS_H
#define COW_CHUNKS_H

#include "cow/buffer.h"

/* One for each worker that takes chunks; initially zeros. next fills in the first four members; the
 * others belong to the caller, who sets n_given to 0 before. */
struct chunk_piece {
	struct chunk *chunk; /* the current one: the source's, or own */
	struct chunk own;    /* for sources that lend none */
	void *loan;	     /* for give_back; private to the source */
	bool beside_guests;  /* a guest is active: yield the processor now and then */
	bool has_channel;    /* serve: a data channel was taken */
	int channel;
	uint32_t n_given; /* clusters of the chunk already in batches */
};

struct chunk_source {
	void *context;
	/* A chunk is split into pieces of this many clusters, the last one with fewer; one without
	 * data is a single piece. CHUNK_CLUSTERS, or with in_any_order fewer: the worker keeps the
	 * rest of its chunk, and must not be stopped by another one that finds no more chunks. */
	uint32_t piece_clusters;
	bool in_any_order; /* next may be called by several threads at the same time */
	/* Puts the next chunk into *piece. 1: done; 0: no more chunks; negative: error. */
	int (*next)(void *context, struct chunk_piece *piece, struct error *err);
	/* Called once for each piece, with its loan, when its memory is no longer needed. Any
	 * thread. */
	void (*give_back)(void *context, void *loan);
};

#endif
