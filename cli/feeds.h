/*
 * What connects those who have clusters with the writer: the sweep over drives, the reader of
 * another archive.
 */
#ifndef CLI_FEEDS_H
#define CLI_FEEDS_H

#include "writer/writer.h"

struct reader;
struct sweep;

/* Both are borrowed by the feed as long as it is in use. */
struct feed feed_of_sweep(struct sweep *sweep);
struct feed feed_of_reader(struct reader *reader);

#endif
