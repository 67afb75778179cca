/*
 * The parts of a device or an NBD export that a restore did not write, and which must be zeroed in
 * the end. Private to drive/.
 */
#ifndef DRIVE_REST_H
#define DRIVE_REST_H

#include "base/error.h"

struct rest;

/* For a drive of size_bytes and a device of room_bytes: ERR_USAGE if that is too small. Because
 * volumes are rounded up, up to 4 MiB past the drive belong to the rest; more is left alone. */
int rest_new(struct rest **out, const char *path, uint64_t size_bytes, uint64_t room_bytes,
	     struct error *err);
void rest_free(struct rest *rest); /* NULL-safe */

uint64_t rest_end(const struct rest *rest);    /* the device becomes ours up to this byte */
uint64_t rest_excess(const struct rest *rest); /* bytes beyond that */

/* Marks bytes of the drive as written: whole clusters, except at its end. Any thread. */
void rest_mark_bytes(struct rest *rest, uint64_t offset, uint64_t n);
void rest_mark(struct rest *rest, uint64_t cluster, uint64_t n_clusters);
bool rest_has(const struct rest *rest, uint64_t cluster);

/* The first run of unwritten clusters from *cluster on, at most max of them. False: there is none.
 */
bool rest_next(const struct rest *rest, uint64_t *cluster, uint64_t *n_clusters, uint64_t max);

#endif
