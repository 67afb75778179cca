/*
 * Differences as change lists: spec/changes.md, section 2, one file a drive.
 */
#ifndef ARCHIVE_DIFF_LIST_H
#define ARCHIVE_DIFF_LIST_H

#include "format/format.h"

#include <stdio.h>

struct newfile;

struct diff_list {
	const char *path; /* borrowed; a file for one drive, or a folder, where files get
			     NAME.changes */
	bool folder;
	unsigned n_files;
	/* The one that is being written. */
	char *name; /* owned; NULL: none */
	struct newfile *temp;
	FILE *file;
	uint64_t size_bytes, n_ranges;
};

/* Finds out whether the path is a folder. */
void diff_list_init(struct diff_list *out, const char *path);
/* Ends the file before, and begins that of a drive, as it is at the later instant. ERR_USAGE: the
 * file exists, or a second drive comes and the path is no folder. */
int diff_list_begin(struct diff_list *list, const struct archive_drive *drive, struct error *err);
/* What is past the drive's end is left out: a reader takes that as changed. */
int diff_list_range(struct diff_list *list, uint64_t offset, uint64_t length, struct error *err);
/* Ends the last file, which then has its name and is durable. */
int diff_list_end(struct diff_list *list, struct error *err);
/* Removes what was not ended. */
void diff_list_close(struct diff_list *list);

#endif
