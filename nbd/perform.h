/*
 * Executing requests on the export.
 */
#ifndef NBD_PERFORM_H
#define NBD_PERFORM_H

#include "nbd/worker.h"

/* From this size on, copying takes longer than waking another thread that reads on. */
#define PARALLEL_BYTES 65536u
#define SMALL_BYTES    16384u /* up to this size, data is collected in buffers */

struct operation {
	unsigned command, flags; /* enum nbdserver_flags */
	uint64_t offset, n;
	void *data;
};

/* Immediately, or after handing the reader's role to another thread if that would block. */
int perform(struct worker *worker, struct operation *op);
/* On this thread, even if it blocks. more: further flags. */
int perform_here(const struct nbdserver_export *export, const struct operation *op, unsigned more);
/* Hands the reader's role to another thread. The caller must not use connection->input afterwards.
 */
void perform_aside(struct worker *worker);

#endif
