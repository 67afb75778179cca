/*
 * Sums of archives that exist already: their headers hold every checksum, so no payload is decoded.
 */
#ifndef ARCHIVE_SUMS_MAKE_H
#define ARCHIVE_SUMS_MAKE_H

#include "archive/chain.h"
#include "archive/sums.h"

struct watcher;

/* Makes the sums file of the chain's newest instant, under path but not published yet; *n_data: its
 * clusters of data. Every link is read once, newest first, and what is stored is checked.
 * ERR_INCOMPLETE if no link holds some cluster. Free *out even after an error. */
int sums_make(struct sums_writer **out, const char *path, const struct chain *chain,
	      uint64_t *n_data, const struct watcher *watcher, struct error *err);

#endif
