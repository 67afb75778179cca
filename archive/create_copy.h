/*
 * The head of an archive that is made of another one.
 */
#ifndef ARCHIVE_CREATE_COPY_H
#define ARCHIVE_CREATE_COPY_H

#include "archive/create.h"

/* Uuid, parent, time, note, checkpoints, drives and configs; what the format cannot carry is left
 * out with a warning. name: of the other archive. The head borrows its texts. */
int create_copy_head(struct create *create, const struct archive *from, const char *name,
		     const struct watcher *watcher, struct error *err);
/* ERR_USAGE if the output is a file that this incremental archive needs, or that one of its parents
 * does, as far as these are found. path: of a file. */
int create_copy_check_parents(const struct create *create, const char *path, struct error *err);
/* As create_close, after that. */
void create_copy_close(struct create *create);
/* All is open; the output is still to get its name. reading: other files will be read. */
int create_copy_confine(const struct create *create, bool reading, struct error *err);

#endif
