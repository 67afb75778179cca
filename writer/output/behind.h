/*
 * A file on its way to the disk while it is written, so that neither the host's memory fills with
 * what nobody will read soon, nor the sync at the end takes long. Private to output/.
 */
#ifndef WRITER_OUTPUT_BEHIND_H
#define WRITER_OUTPUT_BEHIND_H

#include "base/error.h"

struct behind {
	uint64_t started_at; /* position: on its way up to here */
	uint64_t dropped_at; /* position: written and out of memory up to here */
};

/* The file has been written up to this position. Waits for the disk when it is far behind. Returns
 * 0, or the errno of a write-back error: no later fsync tells it again. */
int behind_follow(struct behind *behind, int fd, uint64_t position);
/* All of it is on the disk: what is left in memory is given back. */
void behind_end(const struct behind *behind, int fd);

#endif
