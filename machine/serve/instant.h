/*
 * What every snapshot shows alike, whoever holds it: a drive of one instant, and what changed in it
 * since a checkpoint.
 */
#ifndef MACHINE_SERVE_INSTANT_H
#define MACHINE_SERVE_INSTANT_H

#include "base/clusterset.h"
#include "nbd/server.h"

/* The first member of a drive's context, so that the calls below find it. */
struct instant {
	const char *name, *since; /* borrowed; since: NULL for no bitmap, else its name */
	uint64_t size_bytes;
	struct cluster_set changed; /* owned */
};

/* For struct nbdserver_ops. */
int instant_bitmap(void *context, unsigned which, uint64_t offset, uint64_t *n, bool *set);
int instant_find_bitmap(void *context, const char *name);
bool instant_bitmap_name(void *context, unsigned i, char out[256]);

struct nbdserver_export instant_export(struct instant *instant, const struct nbdserver_ops *ops);

#endif
