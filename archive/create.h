/*
 * What all backups have in common: the head of the archive, the sizes of drives and of pieces of
 * work, the run.
 */
#ifndef ARCHIVE_CREATE_H
#define ARCHIVE_CREATE_H

#include "archive/sink.h"

struct watcher;

/* What a user may say about the head of a new archive. */
struct head_options {
	const char *note; /* NULL: none */
	const char *uuid; /* as text; NULL: random */
};

/* Prepares the sink, and sets all of the head but drives and configs: format, time, uuid, note. */
int new_archive_begin(struct archive *archive, struct sink *sink, const struct sink_options *options,
		      const struct head_options *head, struct error *err);
/* The size of a drive as the format can hold it. */
uint64_t new_archive_size(const struct sink *sink, const char *name, uint64_t size_bytes,
			  const struct watcher *watcher);
/* How many data clusters a piece of work should have. */
uint32_t new_archive_piece(const struct sink *sink);
/* From the feed into the sink, with progress, up to the finished archive. */
int new_archive_write(struct sink *sink, const struct archive *archive, const struct feed *feed,
		      const struct watcher *watcher, struct error *err);

#endif
