/*
 * Write-behind: a file goes to disk while it is being written, so that it neither fills the host's
 * page cache with data that is not read again soon, nor makes the sync at the end take long.
 * Private to output/.
 */
#ifndef WRITER_OUTPUT_BEHIND_H
#define WRITER_OUTPUT_BEHIND_H

#include "base/error.h"

struct behind {
	uint64_t started_at; /* position: write-back has started up to here */
	uint64_t dropped_at; /* position: on disk and dropped from the page cache up to here */
};

/* The file has been written up to this position. Waits for the disk if it is far behind. Returns 0
 * or the errno of a write-back error, which no later fsync reports again. */
int behind_follow(struct behind *behind, int fd, uint64_t position);
/* All of it is on disk: drops the rest from the page cache. */
void behind_end(const struct behind *behind, int fd);

#endif
