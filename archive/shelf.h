/*
 * Where the archives of chains lie beside each other: a folder of a file system, or the objects of
 * a store whose keys begin with the same PREFIX/. Not for several threads at once.
 */
#ifndef ARCHIVE_SHELF_H
#define ARCHIVE_SHELF_H

#include "archive/shelf_kind.h"

/* Lists it. *out can be closed even after an error. */
int shelf_open(struct shelf *out, const char *path, struct error *err);
/* One thing there after the other: its name, borrowed until the next one, and what tells whether it
 * was replaced; of an object a plain file's. 1: there was one; 0: no more. */
int shelf_next(struct shelf *shelf, const char **name, struct stat *status, struct error *err);
/* Whether there is this one with this ending: of a store, when it was listed. */
bool shelf_has(struct shelf *shelf, const char *name, const char *ending);
/* Whether it begins like a VMAB archive, and which uuid that has; which proves nothing. 1: it does;
 * 0: not, or it vanished; negative: it cannot be read. */
int shelf_peek(struct shelf *shelf, const char *name, uint8_t uuid[UUID_SIZE], struct error *err);
/* Whether one that does not begin like an archive may be what is left of one:
 * archive/folder_doubt.h.
 */
bool shelf_doubt(struct shelf *shelf, const char *name, char *why, size_t size);
/* ERR_LOCKED: a store has it locked. */
int shelf_may_remove(struct shelf *shelf, const char *name, struct error *err);
/* Durably; 0 also if it is not there. After shelf_may_remove. */
int shelf_remove(struct shelf *shelf, const char *name, const char *ending, struct error *err);
void shelf_close(struct shelf *shelf);

/* Whether this is written as a store's prefix: "s3://BUCKET" or "s3://BUCKET/PREFIX/". */
bool shelf_is_prefix(const char *name);
/* The name of a folder or prefix without a slash at its end, as everything here wants it. Owned;
 * NULL: no memory. */
char *shelf_path(const char *name);

#endif
