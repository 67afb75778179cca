/*
 * The newest instant of an archive, or of the chain it stands on, read in any order.
 *
 * An extent is decoded once for all that want it at the same time, checked as a whole, and kept in
 * a cache that all drives share. What is damaged cannot be read (EIO), all else can; the watcher is
 * told once of each such extent. Memory: the cache; 16 bytes for each run of clusters and 24 for
 * each extent; of those that decode, at most 16 at a time, 4 MiB each. Descriptors: at most 64.
 */
#ifndef ARCHIVE_VIEW_H
#define ARCHIVE_VIEW_H

#include "archive/view_counts.h"
#include "format/format.h"

struct view;
struct watcher;

#define VIEW_CACHE_DEFAULT (256u << 20)
#define VIEW_CACHE_MIN	   (8u << 20)

struct view_options {
	struct strings archives; /* the one that is wanted, and perhaps its parents */
	struct strings folders;	 /* where more parents are looked for */
	uint64_t cache_bytes;	 /* 0: VIEW_CACHE_DEFAULT */
	const char *cache_file;	 /* for an archive that can be read only in order; or NULL */
	unsigned n_threads;	 /* that read ahead; 0: one a processor */
};

/* Opens all of the chain and reads where its clusters lie. The options and the watcher, which is
 * told from any thread, are borrowed until view_close. */
int view_open(struct view **out, const struct view_options *options, const struct watcher *watcher,
	      struct error *err);
void view_close(struct view *view); /* NULL-safe */

/* The newest archive: its drives, whose numbers the functions below take, and its configs.
 * Borrowed. */
const struct archive *view_archive(const struct view *view);
const char *view_name(const struct view *view); /* as it was given */
unsigned view_n_archives(const struct view *view);

/* n bytes at offset, all within the drive. 0 or an errno value. now: EAGAIN rather than wait for a
 * disk or a decoder. Any thread, several at the same time. */
int view_read(struct view *view, uint32_t drive, uint64_t offset, void *to, size_t n, bool now);
/* Whether the drive is known to be zero at offset, which lies within it, without decoding, and for
 * how many bytes at least (at least 1, within the drive) that is so. 0 or an errno value. */
int view_status(struct view *view, uint32_t drive, uint64_t offset, uint64_t *n, bool *zero);

struct view_counts view_counts(struct view *view);

#endif
