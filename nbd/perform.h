/*
 * What requests have the export do.
 */
#ifndef NBD_PERFORM_H
#define NBD_PERFORM_H

#include "nbd/worker.h"

/* From here on copying takes longer than waking another thread to read on meanwhile. */
#define PARALLEL_BYTES 65536u
#define SMALL_BYTES    16384u /* data up to this is collected, and taken from the input */

struct operation {
	unsigned command, flags; /* enum nbdserver_flags */
	uint64_t offset, n;
	void *data;
};

/* At once, or after giving the role of the reader to another thread. */
int perform(struct worker *worker, struct operation *op);
/* By the export as it is, waiting if need be. more: flags. */
int perform_here(const struct nbdserver_export *export, const struct operation *op, unsigned more);
/* Another thread reads on. Nothing of the connection's input may be in use. */
void perform_aside(struct worker *worker);

#endif
