/*
 * What of a target was not written: all that must be zeros in the end. Private to target/.
 */
#ifndef DRIVE_REST_H
#define DRIVE_REST_H

#include "base/error.h"

struct rest;

/* For clusters up to end_bytes, of which none was written. */
int rest_new(struct rest **out, uint64_t end_bytes, struct error *err);
void rest_free(struct rest *rest); /* NULL-safe */

/* All of it was written. Any thread. */
void rest_mark(struct rest *rest, uint64_t cluster, uint64_t n_clusters);
bool rest_has(const struct rest *rest, uint64_t cluster);

/* The first run of clusters from *cluster on that were not written, at most max of them; false when
 * there are none. */
bool rest_next(const struct rest *rest, uint64_t *cluster, uint64_t *n_clusters, uint64_t max);

#endif
