/*
 * Archive in, checked clusters out. Sources: spec/vmab.md, spec/vma1.md.
 *
 * reader.c and extent.c are the core: together with format/'s parsers they are all the code between
 * the bytes of an archive and a verified cluster. run.c runs them on all cores.
 */
#ifndef READER_READER_H
#define READER_READER_H

#include "format/format.h"

#include <stdatomic.h>

struct cluster_set;
struct input;
struct target;
struct reader;

/* Reads and checks the head. The input is borrowed and must stay open. Free *out even after an
 * error. */
int reader_open(struct reader **out, struct input *in, struct error *err);
void reader_free(struct reader *reader);

/* Borrowed, valid until reader_free. */
const struct archive *reader_archive(const struct reader *reader);

/* The next extent: its header, checked, and its payload, as stored, in stored[PAYLOAD_SIZE_MAX].
 * Checks index, head copy and tail on the way. 1: an extent; 0: the archive has ended, is whole and
 * holds every cluster it must hold; negative: error. After 0 or an error, do not call it again. One
 * caller at a time. */
int reader_next(struct reader *reader, struct section *extent, uint8_t *stored, struct error *err);

/* The clusters of a drive that reader_next, or reader_run in sequence, has come to so far. */
const struct cluster_set *reader_seen(const struct reader *reader, uint32_t drive);

/* The totals so far; complete after reader_next returned 0. */
const struct totals *reader_totals(const struct reader *reader);

/* Checks the stored payload, and decodes it into raw[PAYLOAD_SIZE_MAX] if it is compressed. *blocks
 * then points to the blocks, in raw or in stored. Any thread. */
int extent_open(const struct archive *archive, const struct section *extent, const uint8_t *stored,
		uint8_t *raw, const uint8_t **blocks, struct error *err);

/* Checks the stored payload only, without decoding it. */
int extent_scrub(const struct archive *archive, const struct section *extent, const uint8_t *stored,
		 struct error *err);

/* Checks one data cluster whose stored blocks begin at blocks. *cluster then points to its 65536
 * bytes, zero past the end of the drive: in blocks when all are stored, else in scratch. Any
 * thread. */
int extent_cluster(const struct archive *archive, const struct section *extent, uint32_t slot,
		   const uint8_t *blocks, uint8_t scratch[CLUSTER_SIZE], const uint8_t **cluster,
		   struct error *err);

/* Whether the archive ends properly, without reading it all. 1: it has a valid tail, whose totals
 * are in *out; 0: unknown (not a VMAB, or not a plain file); negative: incomplete or damaged. Moves
 * the input: afterwards call only reader_archive and reader_free. */
int reader_find_tail(struct reader *reader, struct input *in, struct totals *out,
		     struct error *err);

/* The progress of reader_run. */
struct reader_counts {
	/* Of the drives, data and zeros; if there are targets, only of drives that have one. */
	_Atomic uint64_t covered_bytes;
	_Atomic uint64_t read_bytes; /* of the archive, after decompression */
	/* Of the archive's file, of input_file_size; what is left out because of an index counts.
	 */
	_Atomic uint64_t place;
	_Atomic uint32_t drive; /* the last one */
};

/* A drive of an archive whose newer increments were read before: what they held is not written. */
struct reader_layer {
	uint64_t size_bytes; /* of the drive in the newest archive */
	/* Only clusters before this one: a newer archive's drive had no more, and cannot have left
	 * others to this one. */
	uint64_t n_clusters;
	struct cluster_set *newer; /* what they held; what this archive holds is added */
};

struct reader_job {
	unsigned n_threads;		   /* at least 1 */
	bool scrub;			   /* check only stored payloads; targets must be NULL */
	struct target *const *targets;	   /* a target or NULL for each drive; NULL: none at all */
	struct input *in;		   /* NULL, or the reader's input: for counts->place */
	const struct reader_layer *layers; /* for each drive with a target; NULL: all is written */
	struct input *seek_in;		   /* NULL, or the reader's input: see reader_run */
	/* 0: all; else, with seek_in: only these clusters of the drives that have a target, by the
	 * index. Other clusters of the same extents are written too. */
	uint64_t n_clusters, begin;
	struct reader_counts *counts; /* or NULL */
	bool rollback; /* some targets were opened so: only what differs there is written */
};

/* Reads the rest of the archive: verifies all of it, and writes the drives that have a target.
 * Returns 0 only if everything was read, whole and intact. With seek_in, when some drives have no
 * target, it reads and verifies only the extents of the others, if archive and input allow that.
 * With n_clusters it may be called again and again. Uses a little over 8 MiB a thread. */
int reader_run(struct reader *reader, const struct reader_job *job, struct error *err);

#endif
