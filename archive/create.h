/*
 * What all backups have in common: the head of the archive, the sizes of drives and of pieces of
 * work, the run.
 */
#ifndef ARCHIVE_CREATE_H
#define ARCHIVE_CREATE_H

#include "archive/sink.h"

struct report;

/* Prepares the sink, and sets all of the head but drives and configs: format, time, uuid, note. */
int new_archive_begin(struct archive *archive, struct sink *sink, const struct options *options,
		      struct error *err);
/* The size of a drive as the format can hold it. */
uint64_t new_archive_size(const struct sink *sink, const char *name, uint64_t size_bytes,
			  struct report *report);
/* How many data clusters a piece of work should have. */
uint32_t new_archive_piece(const struct sink *sink);
/* From the feed into the sink, with progress, up to the finished archive. */
int new_archive_write(struct sink *sink, const struct archive *archive, const struct feed *feed,
		      const struct options *options, struct error *err);

#endif
