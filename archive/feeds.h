/*
 * What connects those who have clusters with the writer: the sweep over drives, the reader of
 * another archive, the buffer of a live backup.
 */
#ifndef ARCHIVE_FEEDS_H
#define ARCHIVE_FEEDS_H

#include "writer/writer.h"

struct buffer;
struct reader;
struct sweep;

/* All are borrowed by the feed as long as it is in use. */
struct feed feed_of_sweep(struct sweep *sweep);
struct feed feed_of_reader(struct reader *reader);
/* Works in the buffer's own memory. Ends when the buffer does. */
struct feed feed_of_buffer(struct buffer *buffer);

#endif
