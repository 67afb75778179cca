/*
 * Clusters in, in any order, one sequential archive out. Sources: spec/vmab.md, spec/vma1.md.
 *
 * Because the order is free, workers need no hand-over: each takes the next piece of work, reads
 * it, drops zero blocks, hashes, compresses, and the finished extents are appended in the order in
 * which the pieces were taken. So any number of threads gives the same bytes.
 */
#ifndef WRITER_WRITER_H
#define WRITER_WRITER_H

#include "format/format.h"

#include <stdatomic.h>

struct cluster_set;
struct output;
struct writer;
struct batch;

/* Compression of the archive as a whole: .vma.zst, .vma.gz. VMAB compresses inside. */
enum wrap { WRAP_NONE, WRAP_ZSTD, WRAP_GZIP };

/* For a progress display: what has gone to the output. */
struct writer_counts {
	_Atomic uint64_t covered_bytes; /* of drives: data and zeros */
	_Atomic uint64_t data_bytes;	/* of these: what was read, and not known to be zeros */
	_Atomic uint64_t written_bytes; /* of the archive */
	_Atomic uint64_t place;		/* as batch_place said */
	_Atomic uint32_t drive;		/* the last one */
};

/* What the parent of an incremental archive holds: clusters that are the same there are left out.
 */
struct parent_sums {
	void *context;
	size_t state_size; /* bytes of a state; each batch has one, zeros at first */
	/* *sum: the checksum of a cluster, zero bytes for zeros; NULL: the parent lacks it. Good
	 * until the next call with the same state. *n: of how many clusters from this one on it is
	 * that. From any worker. */
	int (*get)(void *context, void *state, uint32_t drive, uint64_t cluster,
		   const uint8_t **sum, uint64_t *n, struct error *err);
};

/* Who is told the checksums of clusters before these are in the output. From any worker. */
struct checksum_sink {
	void *context;
	/* Slots of data and of zeros; the payload is not there yet. */
	void (*stored)(void *context, const struct section *extent);
	/* A run that is left out, as the parent has it. */
	void (*unchanged)(void *context, uint32_t drive, uint64_t cluster, uint64_t n_clusters);
};
#define EXTENT_SIZE_MIN CLUSTER_SIZE

struct writer_options {
	int level;	/* of zstd or gzip; 0: no compression at all */
	enum wrap wrap; /* with FORMAT_VMA1 only, and only when level is not 0 */
	/* VMA: where an extent of zero clusters ends depends on their place in the drive, so that a
	 * change moves nothing in those that follow. */
	bool by_place;
	/* VMAB: bytes of blocks in an extent, at least EXTENT_SIZE_MIN; 0: as the feed has its
	 * pieces. */
	uint32_t extent_size;
	const struct parent_sums *parent;      /* or NULL. Borrowed */
	const struct checksum_sink *checksums; /* or NULL. Borrowed */
	struct writer_counts *counts;	       /* or NULL */
};

/* Checks that the format can carry the archive, then writes the head. Archive and output are
 * borrowed and must outlive the writer. archive->head_size need not be set. */
int writer_open(struct writer **out, const struct archive *archive, struct output *output,
		const struct writer_options *options, struct error *err);

/* Where the clusters come from. */
struct feed {
	void *context;
	size_t piece_size; /* bytes of the caller's struct for a piece of work. Each worker has one,
			      zeros at first, and it keeps its content between calls */
	/* Takes the next piece. 1: taken, 0: no more, negative: error. One call at a time, and the
	 * pieces are written in the order of the calls; or, with in_any_order, from any worker, and
	 * in about the order in which calls return. */
	int (*next)(void *context, void *piece, struct error *err);
	bool in_any_order;
	/* Some pieces take many times as long as others, which must wait for them: three batches
	 * for each thread. */
	bool uneven;
	/* Adds its clusters to the batch. From any worker, for several pieces at the same time. */
	int (*fill)(void *context, void *piece, struct batch *batch, struct error *err);
	void (*drop)(void *piece); /* NULL, or frees what a piece owns, after the last fill */
	/* Called after the last fill: may reject everything that was read. May be NULL. */
	int (*ended)(void *ended_context, struct error *err);
	void *ended_context;
	/* For a progress display, as in base/watcher.h: of the places that fill tells by
	 * batch_place, or of data_bytes. */
	bool has_places;
	uint64_t total_bytes;
	uint64_t (*survey)(void *context, const atomic_bool *stop);
};

/* Works until the feed has no more or something fails. Memory: for each thread a piece, a buffer of
 * 4 MiB for blocks, two batches of 4 MiB and a compressor. */
int writer_run(struct writer *writer, const struct feed *feed, unsigned n_threads,
	       struct error *err);

/* With a parent: of drive i only the clusters of sets[i] will come, if that is not NULL; the others
 * are as the parent has them. Borrowed until writer_finish. */
void writer_expect(struct writer *writer, const struct cluster_set *const *sets);
/* Checks that every cluster was received (full archives, and those with a parent) and writes index,
 * head copy and tail. Does not finish the output. */
int writer_finish(struct writer *writer, struct error *err);
/* Which clusters of a drive came so far, stored or not. */
const struct cluster_set *writer_seen(const struct writer *writer, uint32_t drive);
const struct totals *writer_totals(const struct writer *writer);
void writer_free(struct writer *writer);

/* A buffer of PAYLOAD_SIZE_MAX bytes for reading a piece into, before its clusters are added. */
uint8_t *batch_buffer(struct batch *batch);
/* Makes the batch use memory of the feed instead of batch_buffer: clusters there are packed in
 * place if they are added in ascending order from its start. Once per fill, before anything is
 * added. give_back is called when the memory is no longer needed: from any thread, also after a
 * failure, at the latest before writer_run returns. */
void batch_borrow(struct batch *batch, uint8_t *bytes, void (*give_back)(void *context, void *loan),
		  void *context, void *loan);
/* Adds a cluster of 65536 bytes, with zeros past the end of the drive; it may be all zeros. It may
 * be in batch_buffer, if clusters are added from there in ascending order. A batch holds up to
 * PAYLOAD_SIZE_MAX of stored blocks and SLOTS_MAX slots. */
void batch_cluster(struct batch *batch, uint32_t drive, uint64_t cluster, const uint8_t *bytes);
void batch_zeros(struct batch *batch, uint32_t drive, uint64_t cluster, uint64_t n_clusters);
/* Adds an extent of another VMAB, whose drives are this archive's, as it is stored there: the
 * caller has checked the payload, padding included. Alone in its fill, and only for a VMAB that has
 * no parent_sums. *stored: PAYLOAD_SIZE_MAX bytes of malloc, for which the caller gets others. */
void batch_extent(struct batch *batch, const struct section *extent, uint8_t **stored);
/* Adds a cluster of another VMAB that was checked: its mask, checksum and stored blocks, which may
 * lie where batch_cluster's bytes may. As batch_extent for a VMAB that has no parent_sums. */
void batch_checked(struct batch *batch, const struct slot *slot, const uint8_t *blocks);
/* For a progress display: how far the source was read with this piece. */
void batch_place(struct batch *batch, uint64_t place);

#endif
