/*
 * A drive that a guest writes to, over one that stays as it is: what is written goes to a part of a
 * file, block by block, and a bit for each block says which of the two has it.
 *
 * A flush makes the data durable first, then the bits as they were before: after any end the file
 * has all that was flushed, and no bit without its data. Memory: the bits, 32 MiB for each TiB
 * that was written all over, and once more during a flush.
 */
#ifndef DRIVE_OVERLAY_H
#define DRIVE_OVERLAY_H

#include "drive/given.h"

#include <pthread.h>

/* What the drives of one file share. */
struct overlay_shared {
	_Atomic uint64_t n_left; /* how many more blocks may be written */
	pthread_mutex_t flushing;
	/* errno: data may be lost, of any drive, as an error of write-back is told only once for
	 * the file. Under flushing. */
	int flush_failed;
};

/* Where it lies; all positions are multiples of 4096. */
struct overlay_place {
	int fd;		  /* borrowed; reads as zeros where nothing was written */
	uint64_t bits_at; /* overlay_bits_size bytes */
	uint64_t data_at; /* as many bytes as the drive */
	bool kept;	  /* the bits are read at the beginning and written by flushes */
	/* As many bytes again, where a bit is at once, so that what was answered outlives the
	 * process; these are read at the beginning, and those at bits_at count if the host crashed.
	 * 0: none. */
	uint64_t present_at;
	bool whole;		       /* all blocks are here, and there are no bits */
	struct overlay_shared *shared; /* borrowed */
};

/* Bytes that the bits of a drive take in the file. */
uint64_t overlay_bits_size(uint64_t size_bytes);

/* below is borrowed. */
int drive_overlay_open(struct drive **out, const char *name, const struct drive_content *below,
		       const struct overlay_place *place, struct error *err);

/* ---- an overlay that takes all ---- */

/* The next run, from *offset on, of what is not here; false: there is none. */
bool drive_overlay_missing(struct drive *drive, uint64_t *offset, uint64_t *n);
uint64_t drive_overlay_missing_bytes(struct drive *drive);
/* Puts what lies below into those blocks of a range that are not here by then; NULL: zeros. It
 * begins at a block, and ends at one or with the drive. Guests that write into the same MiB wait
 * meanwhile. 0 or an errno value. */
int drive_overlay_fill(struct drive *drive, uint64_t offset, const void *from, uint64_t n);
/* Once nothing is missing: makes it durable, and from here on whatever lies at bits_at and
 * present_at is neither read nor written. */
int drive_overlay_complete(struct drive *drive);

#endif
