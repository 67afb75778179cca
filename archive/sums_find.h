/*
 * The sums of an archive, wherever they are.
 */
#ifndef ARCHIVE_SUMS_FIND_H
#define ARCHIVE_SUMS_FIND_H

#include "archive/sums.h"

struct watcher;

struct found_sums {
	struct sums *sums;
	char *beside;		  /* owned: the name of a file beside an archive */
	struct sums_writer *made; /* owned: a file without a name */
};

/* The first of the names: a sums file, or an archive: then sums of it beside it serve, or its chain
 * is found and read (the other names are as for chain_find), and folder gets a file without a name.
 * Texts are borrowed until found_sums_close, which may be called even after an error. */
int sums_find(struct found_sums *out, const struct strings *names, const char *folder,
	      const struct watcher *watcher, struct error *err);
void found_sums_close(struct found_sums *found);

#endif
