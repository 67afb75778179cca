/*
 * Sums of an archive that is being written, from the checksums that its writer computes. Without
 * them the archive is as good: whatever goes wrong with them once they were begun is a warning.
 */
#ifndef ARCHIVE_SUMS_NEW_H
#define ARCHIVE_SUMS_NEW_H

#include "archive/parent.h"

struct create_plan;
struct new_sums;
struct watcher;

/* What a user may say. */
struct sums_options {
	const char *path; /* NULL: beside the archive, if at all */
	bool beside;	  /* write them there, if the archive is a file */
	bool replace;	  /* a sums file that is at path; beside the archive always */
	bool sync;
};

/* Judges the options, before there is an output. A file that cannot be told from the output yet may
 * still be refused later. */
int new_sums_check(const struct sums_options *options, const char *name,
		   const struct archive *archive, struct error *err);
/* name: of the archive, whose head is complete; parent: of the archive, or NULL. Both are borrowed,
 * and so is what the head of the archive borrows. *out is NULL if no sums are wanted. */
int new_sums_open(struct new_sums **out, const struct sums_options *options, const char *name,
		  const struct archive *archive, const struct parent *parent,
		  const struct watcher *watcher, struct error *err);
/* Before an archive of this name is replaced by one with the same uuid: removes the sums beside it,
 * which would be taken for those of the new one. */
int new_sums_forget(const char *name, const struct archive *archive, struct error *err);
/* NULL-safe. */
const struct checksum_sink *new_sums_sink(const struct new_sums *sums);
/* The archive is complete and has its name: now the sums get theirs. Clusters that never came are
 * as the parent has them. NULL-safe. */
void new_sums_finish(struct new_sums *sums, const struct archive *archive,
		     const struct writer *writer, const struct watcher *watcher);
/* The file, once it has its name; NULL: there is none. NULL-safe. */
const char *new_sums_path(const struct new_sums *sums);
/* Removes what has no name. NULL-safe. */
void new_sums_free(struct new_sums *sums);

#endif
