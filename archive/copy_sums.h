/*
 * Sums around a copy (archive/copy.h): those of what its target holds before, by which is known
 * what need not be written, and those of what it holds in the end, for the next copy.
 *
 * What they say of the target is believed, but for samples: a target that is not what they are of
 * is found by these, and for certain by a comparison of all of it.
 */
#ifndef ARCHIVE_COPY_SUMS_H
#define ARCHIVE_COPY_SUMS_H

#include "archive/parent.h"

struct cluster_set;
struct drive;
struct target;
struct watcher;

struct copy_sums {
	struct parent known; /* of the target; found.sums is NULL: nothing is known */
	char *text;	     /* owned: NAME=FILE, cut */
	const char *path;    /* in it */
	void *state;	     /* owned */
	struct sums_writer *made;
	struct archive *archive; /* owned: the head of those that are made */
	uint64_t size_bytes;	 /* of the drive */
};

#define COPY_SAMPLES 256u /* clusters */

/* [NAME=]FILE: sums or an archive, of the target, which has the size of the drive. All that follows
 * is one thread's. To be closed even after an error. */
int copy_sums_find(struct copy_sums *sums, const char *text, uint64_t size_bytes,
		   const struct watcher *watcher, struct error *err);
/* Clusters at random of those that the sums call data, or, without such, of all: ERR_DAMAGED if the
 * target, which is open for rollback, does not have them; or if the source does not, of those that
 * are not listed. */
int copy_sums_try_target(struct copy_sums *sums, const struct target *target, const char *name,
			 struct error *err);
int copy_sums_try_list(struct copy_sums *sums, struct drive *source,
		       const struct cluster_set *listed, const char *name, struct error *err);
/* Whether the target has these bytes, a whole cluster; NULL: zeros, and then *n is of how many
 * clusters, at most what it was, that is said. */
int copy_sums_have(struct copy_sums *sums, uint64_t cluster, const uint8_t *bytes, uint64_t *n,
		   bool *have, struct error *err);

/* Begins a file of the sums of what the target holds in the end: all of it is put, or kept. */
int copy_sums_make(struct copy_sums *sums, const char *path, uint64_t size_bytes,
		   struct error *err);
int copy_sums_put(struct copy_sums *sums, uint64_t cluster, const uint8_t *bytes,
		  struct error *err);
/* As it was, by the known ones. */
int copy_sums_keep(struct copy_sums *sums, uint64_t cluster, uint64_t n, struct error *err);
/* The target holds all. Nothing to be done if none are made. */
int copy_sums_publish(struct copy_sums *sums, bool sync, struct error *err);
void copy_sums_close(struct copy_sums *sums);

#endif
