/*
 * What of a device or an NBD export was not written by a restore: all that must be zeros in the
 * end. Private to drive/.
 */
#ifndef DRIVE_REST_H
#define DRIVE_REST_H

#include "base/error.h"

struct rest;

/* For a drive of size_bytes where there is room for room_bytes: ERR_USAGE when that is less.
 * Volumes are rounded up: up to 4 MiB past the drive belong to the rest, and more is left as it
 * was. */
int rest_new(struct rest **out, const char *path, uint64_t size_bytes, uint64_t room_bytes,
	     struct error *err);
void rest_free(struct rest *rest); /* NULL-safe */

uint64_t rest_end(const struct rest *rest);    /* up to this byte it becomes ours */
uint64_t rest_excess(const struct rest *rest); /* bytes past that */

/* These bytes of the drive are written: whole clusters but for its end. Any thread. */
void rest_mark_bytes(struct rest *rest, uint64_t offset, uint64_t n);
void rest_mark(struct rest *rest, uint64_t cluster, uint64_t n_clusters);
bool rest_has(const struct rest *rest, uint64_t cluster);

/* The first run of clusters from *cluster on that were not written, at most max of them; false when
 * there are none. */
bool rest_next(const struct rest *rest, uint64_t *cluster, uint64_t *n_clusters, uint64_t max);

#endif
