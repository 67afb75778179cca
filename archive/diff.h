/*
 * Which ranges differ between two instants, by their checksums alone.
 */
#ifndef ARCHIVE_DIFF_H
#define ARCHIVE_DIFF_H

#include "archive/diff_sides.h"

/* What is told of the differences. A drive comes before its ranges; one that only one side has, has
 * NULL on the other, and no ranges. Ranges are in bytes, ascend, and end with the larger drive.
 * What is returned but 0 ends the run. */
struct diff_teller {
	void *context;
	int (*drive)(void *context, const struct archive_drive *a, const struct archive_drive *b,
		     struct error *err);
	int (*range)(void *context, uint64_t offset, uint64_t length, struct error *err);
};

/* *same: no drive differs in its contents, its size, or by being on one side only. Where a side is
 * a drive, that alone is compared: with the drive of its name, or if it has none with the only one
 * there is; two drives with each other. ERR_USAGE: the other side has no such drive. */
int diff_run(const struct diff_side sides[2], const struct diff_teller *teller, bool *same,
	     struct error *err);

#endif
