/*
 * Where the writer's clusters come from: a sweep over drives, another archive, the buffer of a live
 * backup.
 */
#ifndef ARCHIVE_FEEDS_H
#define ARCHIVE_FEEDS_H

#include "writer/writer.h"

struct buffer;
struct reader;
struct sweep;

/* Each feed borrows what it is made of. */
struct feed feed_of_sweep(struct sweep *sweep);
struct feed feed_of_reader(struct reader *reader);
/* Packs clusters in the buffer's own memory. Ends when the buffer does. */
struct feed feed_of_buffer(struct buffer *buffer);

#endif
