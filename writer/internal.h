/*
 * Shared by the files of writer/. The stages of a piece of work:
 *
 *   pool.c    a worker takes a piece, the feed fills a batch with it         (any order)
 *   batch.c   clusters become slots and packed blocks                        (any thread)
 *   seal.c    the batch is compressed and checksummed                        (any thread)
 *   writer.c  headers get their place in the stream, and all is written      (in order)
 */
#ifndef WRITER_INTERNAL_H
#define WRITER_INTERNAL_H

#include "writer/writer.h"

#include <sys/uio.h>

/* A buffer that grows. */
struct bytes {
	uint8_t *at; /* owned */
	size_t size, capacity;
};

int bytes_reserve(struct bytes *bytes, size_t capacity, struct error *err);

/* One of the extents that a batch is cut into. */
struct cut {
	uint32_t n_slots;
	uint32_t raw_size, stored_size, padded_size;
	enum codec codec;
	uint8_t checksum[CHECKSUM_SIZE];
};
#define CUTS_MAX (PAYLOAD_SIZE_MAX / EXTENT_SIZE_MIN * 2 + 1)

struct batch {
	const struct archive *archive;
	const struct parent_sums *parent; /* NULL: all is stored; else: */
	void *parent_state;		  /* owned */
	struct error parent_error;	  /* why it could not be asked */
	struct slot *known; /* owned, SLOTS_MAX: runs that are as the parent has them */
	uint32_t n_known;
	uint64_t covered_bytes, data_bytes, place; /* as in struct writer_counts */
	uint8_t *blocks; /* lent by the worker, PAYLOAD_SIZE_MAX; or by the feed: see borrowed */
	struct section section; /* slots, raw_size; once sealed also codec, sizes, checksum */
	bool as_stored;		/* blocks hold a payload that is sealed already */
	struct slot stray;	/* n_clusters != 0: clusters that their drive does not have */
	struct {
		void (*give_back)(void *context, void *loan); /* NULL: blocks are the worker's */
		void *context, *loan;
	} borrowed;

	/* VMAB: the extents that the section becomes, if it becomes several: their payloads follow
	 * one another in payload. */
	struct cut *cuts; /* owned */
	uint32_t n_cuts;

	/* The result of seal.c. Borrowed payload that is not compressed stays in blocks. */
	uint32_t n_zero_slots; /* after the slots: runs that do not travel with data */
	uint8_t *payload;      /* owned, PAYLOAD_SIZE_MAX: the blocks, or VMAB: compressed */
	struct bytes packed;   /* VMA: all of it, if the archive is compressed as a whole */
	struct bytes headers;  /* VMA: of the extents */
	struct iovec *parts;   /* owned. VMA: headers and payloads in turn */
	uint32_t n_parts, parts_capacity;
};

/* parent: NULL, or borrowed. */
int batch_new(struct batch **out, const struct archive *archive, const struct parent_sums *parent,
	      struct error *err);
void batch_free(struct batch *batch);
void batch_reset(struct batch *batch);
/* An error if anything was added that is no cluster of a drive. */
int batch_check(const struct batch *batch, struct error *err);
/* Tells the checksums of what was added. NULL: nobody. */
void batch_tell(const struct batch *batch, const struct checksum_sink *to);
/* A buffer for blocks, to be released by free(); NULL: no memory. */
uint8_t *blocks_new(void);
/* After sealing: the batch returns the worker's buffer, or keeps it and gives its own in exchange.
 * So there is one buffer of blocks per worker, and one of pending output per batch. Borrowed memory
 * is given back now or, if it is still to be written, by batch_reset. */
void batch_return(struct batch *batch, uint8_t **blocks);

struct seal;

/* One per sealing thread. */
int seal_new(struct seal **out, const struct archive *archive, const struct writer_options *options,
	     struct error *err);
void seal_free(struct seal *seal);
/* Makes the batch ready for writer_append. */
int seal_batch(struct seal *seal, struct batch *batch, struct error *err);
/* Compresses these parts to one frame of zstd or member of gzip, in out->packed. */
int seal_wrap(struct seal *seal, const struct iovec *parts, uint32_t n_parts, struct batch *out,
	      struct error *err);

/* Appends a sealed batch and collects its zero slots. One at a time, in the order of the pieces. */
int writer_append(struct writer *writer, struct batch *batch, struct error *err);
const struct archive *writer_archive(const struct writer *writer);
const struct writer_options *writer_options(const struct writer *writer);

#endif
