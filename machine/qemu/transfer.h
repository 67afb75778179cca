/*
 * A bitmap's way into a running QEMU, and out of it: a file (drive/bitmapfile.h) that becomes a
 * node for a moment. File and node are those of a run of their own, as names.h and machine/rundir.h
 * have it, so that what a run that is killed leaves of them is found.
 */
#ifndef MACHINE_QEMU_TRANSFER_H
#define MACHINE_QEMU_TRANSFER_H

#include "base/clusterset.h"

struct qmp;

struct transfer {
	const char *node, *bitmap; /* in QEMU; the drive's */
	uint64_t size_bytes;	   /* of the drive */
};

/* Into a bitmap that is there: the clusters of the set are added to it. */
int transfer_put(struct qmp *qmp, const struct transfer *transfer, const struct cluster_set *set,
		 struct error *err);
/* Into an empty set, which is to be freed also after a failure. */
int transfer_get(struct qmp *qmp, const struct transfer *transfer, struct cluster_set *out,
		 struct error *err);

#endif
