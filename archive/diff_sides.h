/*
 * The two things that are compared: each an archive, a sums file, or a drive.
 */
#ifndef ARCHIVE_DIFF_SIDES_H
#define ARCHIVE_DIFF_SIDES_H

#include "archive/sums_find.h"
#include "drive/argument.h"

struct drive;
struct watcher;

struct diff_side {
	const char *operand;	/* borrowed */
	struct found_sums sums; /* in the end of either kind */
	struct drive *drive;	/* NULL: an archive or a sums file */
	struct drive_argument argument;
};

/* Opens those that are drives: NAME=IMAGE as for a backup, or an NBD URI. What is never opened by
 * names that an archive holds, so that a sandbox can come next. Operands are borrowed. Close both
 * even after an error. */
int diff_sides_begin(struct diff_side sides[2], const char *const operands[2],
		     const struct watcher *watcher, struct error *err);
/* Finds the sums of archives, with parents in these folders too, and makes those of drives. */
int diff_sides_find(struct diff_side sides[2], const struct strings *folders, const char *folder,
		    const struct watcher *watcher, struct error *err);
void diff_sides_close(struct diff_side sides[2]);

#endif
