/*
 * Which ranges differ between two instants, by their checksums alone.
 */
#ifndef ARCHIVE_DIFF_H
#define ARCHIVE_DIFF_H

#include "archive/sums_find.h"

/* What is told of the differences. A drive comes before its ranges; one that only one side has, has
 * NULL on the other, and no ranges. Ranges are in bytes, ascend, and end with the larger drive. */
struct diff_teller {
	void *context;
	void (*drive)(void *context, const struct archive_drive *a, const struct archive_drive *b);
	void (*range)(void *context, uint64_t offset, uint64_t length);
};

/* *same: no drive differs in its contents, its size, or by being on one side only. */
int diff_run(const struct found_sums *a, const struct found_sums *b,
	     const struct diff_teller *teller, bool *same, struct error *err);

#endif
