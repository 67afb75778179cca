/*
 * A drive in memory, with holes that it tells of, reads that are counted, and failures on demand.
 * One thread at a time.
 */
#ifndef TESTS_FAKE_DRIVE_H
#define TESTS_FAKE_DRIVE_H

#include "drive/kind.h"

#include <stdatomic.h>

#define FAKE_GRAIN 4096u /* of holes */

struct fake_drive {
	struct drive drive; /* the first member */
	uint8_t *bytes;
	bool *holes;	   /* a grain each; they hold zeros */
	uint32_t *n_reads; /* of each cluster, while counting */
	bool counting;
	uint64_t chop; /* longest answer about holes, in bytes */
	_Atomic uint64_t n_changes;
	uint64_t fail_cluster; /* reading it fails, unless it is UINT64_MAX */
	atomic_int fail_flush; /* an errno, for the next flush */
	bool keeps_trimmed;    /* trimming does nothing */
	bool refuses_fast;     /* zeros are written */
	/* If set: called before anything is read, or changed. */
	void (*before_read)(struct fake_drive *fake, uint64_t offset, uint64_t n);
	void (*before_change)(struct fake_drive *fake, uint64_t offset, uint64_t n);
	void *context; /* theirs */
};

void fake_make(struct fake_drive *fake, uint64_t size_bytes);
void fake_free(struct fake_drive *fake);
/* The range holds these bytes, and no holes. */
void fake_fill(struct fake_drive *fake, uint64_t offset, uint64_t n, const uint8_t *bytes);

#endif
