/*
 * Between the files of writer/. The way of a piece of work:
 *
 *   pool.c    a worker takes a piece, the feed fills a batch with it            (any order)
 *   batch.c   clusters become slots and packed blocks                           (any thread)
 *   seal.c    the batch becomes what will be written, as far as it can be alone (any thread)
 *   writer.c  headers get their place in the stream, and all is written         (one at a time, in
 * order)
 */
#ifndef WRITER_INTERNAL_H
#define WRITER_INTERNAL_H

#include "writer/writer.h"

#include <sys/uio.h>

/* Memory that grows. */
struct bytes {
	uint8_t *at; /* owned */
	size_t size, capacity;
};

int bytes_reserve(struct bytes *bytes, size_t capacity, struct error *err);

struct batch {
	const struct archive *archive;
	struct writer_counts *counts; /* or NULL */
	uint8_t *blocks; /* the worker's, lent: PAYLOAD_SIZE_MAX; or the feed's, see borrowed */
	struct section section;	      /* slots, raw_size; when sealed codec, sizes and checksum */
	struct slot stray;	      /* n_clusters != 0: one that its drive does not have */
	struct {
		void (*give_back)(void *context, void *loan); /* NULL: blocks are the worker's */
		void *context, *loan;
	} borrowed;

	/* What seal.c made of it. Uncompressed payload that was borrowed stays in blocks. */
	uint32_t n_zero_slots; /* behind the slots: runs that do not travel with data */
	uint8_t *payload; /* owned, PAYLOAD_SIZE_MAX: the blocks as they are, or VMAB: compressed */
	struct bytes packed;  /* VMA: all of it, when there is something around the archive */
	struct bytes headers; /* VMA: of the extents */
	struct iovec *parts;  /* owned. VMA: headers and payloads in turn */
	uint32_t n_parts, parts_capacity;
};

int batch_new(struct batch **out, const struct archive *archive, struct writer_counts *counts,
	      struct error *err);
void batch_free(struct batch *batch);
void batch_reset(struct batch *batch);
/* Whether all that was added are clusters of the drives. */
int batch_check(const struct batch *batch, struct error *err);
/* A buffer for blocks; NULL: no memory. For free. */
uint8_t *blocks_new(void);
/* A sealed batch is done with the worker's buffer, or takes it and leaves its own instead. So
 * blocks take memory once a worker, and only what is to be written takes it once a batch. What was
 * borrowed is given back now or, if it is to be written, by batch_reset. */
void batch_return(struct batch *batch, uint8_t **blocks);

struct seal;

/* One for each thread that seals. */
int seal_new(struct seal **out, const struct archive *archive, const struct writer_options *options,
	     struct error *err);
void seal_free(struct seal *seal);
/* Makes the batch ready for writer_append. */
int seal_batch(struct seal *seal, struct batch *batch, struct error *err);
/* Compresses these parts to one frame or member of what is around the archive, in out->packed. */
int seal_wrap(struct seal *seal, const struct iovec *parts, uint32_t n_parts, struct batch *out,
	      struct error *err);

/* Appends a sealed batch and takes up its zero slots. One at a time, in the order of the pieces. */
int writer_append(struct writer *writer, struct batch *batch, struct error *err);
const struct archive *writer_archive(const struct writer *writer);
const struct writer_options *writer_options(const struct writer *writer);

#endif
