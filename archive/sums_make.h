/*
 * Sums of archives that exist already: their headers hold every checksum, so no payload is decoded.
 */
#ifndef ARCHIVE_SUMS_MAKE_H
#define ARCHIVE_SUMS_MAKE_H

#include "archive/chain.h"
#include "archive/sums.h"

struct watcher;

/* The file that sums are made in. */
struct sums_place {
	const char *path; /* of the file to be published; NULL: it never gets a name */
	const char *folder;
};

/* Makes the sums of the chain's newest instant, which are not finished yet; *n_data: its clusters
 * of data. What place names is borrowed until sums_writer_free. Every link is read once, newest
 * first, and what is stored is checked. ERR_INCOMPLETE if no link holds some cluster. Free *out
 * even after an error. */
int sums_make(struct sums_writer **out, const struct sums_place *place, const struct chain *chain,
	      uint64_t *n_data, const struct watcher *watcher, struct error *err);

#endif
