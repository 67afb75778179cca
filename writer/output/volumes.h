/*
 * An archive on one tape or several (spec/tape.md). Private to output/.
 *
 * What a drive was given is on the tape only when a filemark that waits for it was written, and the
 * drive then counts as many blocks as it was given. Nothing is taken for written before.
 */
#ifndef WRITER_OUTPUT_VOLUMES_H
#define WRITER_OUTPUT_VOLUMES_H

#include "base/error.h"

#include <stdbool.h>

struct volumes;

/* name: of the drive, for messages and to open it again; borrowed. */
struct volumes_options {
	const char *name;
	const uint8_t *uuid; /* of the archive, UUID_SIZE bytes; copied */
	uint32_t record_size, block_size;
	bool is_stdout; /* the tape cannot be changed */
	bool force;	/* write where the tape is, and over what next tapes have on them */
};

/* The tape is open as *fd, which another one may replace: moves behind what is there, and labels
 * the first volume. *out can be freed even after a failure. */
int volumes_begin(struct volumes **out, const struct volumes_options *options, int *fd,
		  struct error *err);
/* The tape is full before byte `place` of the archive, after n_cut bytes of the record that begins
 * there: ends this volume, and begins the next one, with that record, on another tape. ERR_FULL:
 * nobody changes tapes. */
int volumes_change(struct volumes *volumes, int *fd, uint64_t place, size_t n_cut,
		   struct error *err);
/* A record was written. */
void volumes_count(struct volumes *volumes);
/* All was written: marks the end. Then the archive is on the tape. */
int volumes_finish(struct volumes *volumes, int *fd, uint64_t place, struct error *err);
void volumes_free(struct volumes *volumes); /* NULL-safe */

#endif
