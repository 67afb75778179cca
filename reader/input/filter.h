/*
 * Decompression of what is around an archive. Private to input/.
 *
 * gzip through zlib, because libarchive does not compare its checksums, and they are all that
 * protects the data of a stock .vma.gz; zstd through its own library, which says why it failed; all
 * else through libarchive.
 */
#ifndef READER_INPUT_FILTER_H
#define READER_INPUT_FILTER_H

#include "base/error.h"
#include "reader/input/compressed.h"

#define FILTER_MAGIC_MAX   9u	      /* bytes to look at */

struct filter;

/* Whether data that begins like this is compressed. */
bool filter_wanted(const uint8_t *bytes, size_t n);
/* What is in *in is borrowed until filter_close. */
int filter_open(struct filter **out, const struct compressed *in, struct error *err);
/* Up to n bytes; *got 0 at the end. A stream that is cut short or damaged is an error. */
int filter_read(struct filter *filter, void *buffer, size_t n, size_t *got, struct error *err);
const char *filter_name(const struct filter *filter); /* static text */
void filter_close(struct filter *filter);

#endif
