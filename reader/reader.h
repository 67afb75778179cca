/*
 * Archive in, checked clusters out. Sources: spec/vmab.md, spec/vma1.md.
 *
 * reader.c and extent.c are the core: with format/'s parsers they are all there is between the
 * bytes of an archive and a verified cluster. run.c drives them on all cores.
 */
#ifndef READER_READER_H
#define READER_READER_H

#include "format/format.h"

#include <stdatomic.h>

struct input;
struct target;
struct reader;

/* Reads and checks the head. The input is borrowed and must stay open. *out is to be freed also
 * after an error. */
int reader_open(struct reader **out, struct input *in, struct error *err);
void reader_free(struct reader *reader);

/* Borrowed, valid until reader_free. */
const struct archive *reader_archive(const struct reader *reader);

/* The next extent, its header checked and its payload, as stored, in stored[PAYLOAD_SIZE_MAX].
 * Index, head copy and tail are checked on the way. 1: an extent; 0: the archive has ended, is
 * whole and holds every cluster it must hold; negative: error. Not to be called again after 0 or an
 * error. One caller at a time. */
int reader_next(struct reader *reader, struct section *extent, uint8_t *stored, struct error *err);

/* What was read so far; complete after reader_next returned 0. */
const struct totals *reader_totals(const struct reader *reader);

/* Checks the stored payload and decodes it into raw[PAYLOAD_SIZE_MAX] if need be. *blocks is then
 * the stored blocks: in raw or in stored. Any thread. */
int extent_open(const struct archive *archive, const struct section *extent, const uint8_t *stored,
		uint8_t *raw, const uint8_t **blocks, struct error *err);

/* Only the checksum over what is stored, without decoding. */
int extent_scrub(const struct archive *archive, const struct section *extent, const uint8_t *stored,
		 struct error *err);

/* Checks one data cluster whose stored blocks begin at blocks. *cluster is then its 65536 bytes,
 * the part past the end of the drive zero: in blocks when all are stored there, else in scratch.
 * Any thread. */
int extent_cluster(const struct archive *archive, const struct section *extent, uint32_t slot,
		   const uint8_t *blocks, uint8_t scratch[CLUSTER_SIZE], const uint8_t **cluster,
		   struct error *err);

/* Whether the archive ends as it must, without reading it all: 1: it has a valid tail, and *out
 * what that says; 0: cannot be told (not a VMAB, not a plain file); negative: incomplete or
 * damaged. Moves the input: after it only reader_archive and reader_free. */
int reader_find_tail(struct reader *reader, struct input *in, struct totals *out,
		     struct error *err);

/* What reader_run has done so far, for a progress display. Bytes of drives, of those with a target
 * if there are targets at all. */
struct reader_counts {
	_Atomic uint64_t covered_bytes; /* clusters dealt with, data and zeros */
	_Atomic uint64_t data_bytes;	/* of them with data */
	_Atomic uint64_t read_bytes; /* of the archive, decompressed if it was compressed around */
};

struct reader_job {
	unsigned n_threads;	       /* at least 1 */
	bool scrub;		       /* only checksums of what is stored; targets must be NULL */
	struct target *const *targets; /* a target or NULL for each drive; NULL: none at all */
	struct input *seek_in;	       /* NULL, or the reader's input: see reader_run */
	struct reader_counts *counts;  /* or NULL */
};

/* Reads the rest of the archive: verifies all of it, and writes the drives that have a target.
 * Returns 0 only if everything was read, whole and intact. With seek_in, and when some drives have
 * no target, only the extents of those that have are read, if the archive and the input allow that:
 * then only they are verified. Uses 8 MiB and a bit a thread. */
int reader_run(struct reader *reader, const struct reader_job *job, struct error *err);

#endif
