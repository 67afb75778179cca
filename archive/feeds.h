/*
 * Where the writer's clusters come from: a sweep over drives, another archive, the chunks of a
 * running machine.
 */
#ifndef ARCHIVE_FEEDS_H
#define ARCHIVE_FEEDS_H

#include "writer/writer.h"

struct chunk_source;
struct input;
struct reader;
struct sweep;

struct feed_reader {
	struct reader *reader;
	struct input *in; /* the reader's */
};

/* Each feed borrows what it is made of. */
struct feed feed_of_sweep(struct sweep *sweep);
struct feed feed_of_reader(struct feed_reader *from);
/* Packs clusters in the source's own memory. */
struct feed feed_of_chunks(const struct chunk_source *source);

#endif
