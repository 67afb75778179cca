/*
 * What a file tells of the changes in it by what it shares with an older copy of itself, a reflink.
 */
#ifndef ARCHIVE_CHANGES_REFLINK_H
#define ARCHIVE_CHANGES_REFLINK_H

#include "archive/changes.h"

/* Where the two share no blocks, they may differ. Both are files of one xfs or btrfs file system;
 * neither may be written meanwhile, and old must be as it was at the instant that the token names.
 * *out is empty after a failure. */
int changes_of_reflink(struct changes *out, const char *path, const char *old, struct error *err);

/* Names the state of a file: another as soon as it is written. Owned by the caller. */
int file_token(const char *path, char **out, struct error *err);

#endif
