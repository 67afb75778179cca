/*
 * An archive that can be read only from its beginning to its end, looked into: a thread reads it as
 * far as somebody waits for something, and puts what it comes to into a sparse file. Private to
 * archive/.
 */
#ifndef ARCHIVE_VIEW_FILL_H
#define ARCHIVE_VIEW_FILL_H

#include "archive/open.h"

struct view_fill;
struct watcher;

/* path must not exist: the file has that name only for a moment, so that nothing of it is left
 * whatever ends the process. opened and watcher are borrowed; nothing else may read from it. */
int view_fill_open(struct view_fill **out, struct opened_archive *opened, const char *path,
		   const struct watcher *watcher, struct error *err);
void view_fill_close(struct view_fill *fill); /* NULL-safe */

/* As view_read and view_status. What was not come to yet counts as data. */
int view_fill_read(struct view_fill *fill, uint32_t drive, uint64_t offset, void *to, size_t n,
		   bool now);
int view_fill_status(struct view_fill *fill, uint32_t drive, uint64_t offset, uint64_t *n,
		     bool *zero);

#endif
