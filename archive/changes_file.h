/*
 * The bytes of a change list, from wherever it lies.
 */
#ifndef ARCHIVE_CHANGES_FILE_H
#define ARCHIVE_CHANGES_FILE_H

#include "format/changelist.h"

struct changes_file {
	int fd;
	uint8_t *window; /* owned */
};

/* Opens a file, a device, which is read past the page cache, or "-"; list reads from there. Close
 * *out even after an error. */
int changes_file_open(struct changes_file *out, const char *path, struct changelist *list,
		      struct error *err);
void changes_file_close(struct changes_file *file);

#endif
