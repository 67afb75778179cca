/*
 * Decompression of what is around an archive. Private to input/.
 */
#ifndef READER_INPUT_FILTER_H
#define READER_INPUT_FILTER_H

#include "reader/input/compressed.h"

#define FILTER_MAGIC_MAX 9u /* bytes that tell a compressor */

struct filter;

/* Whether data that begins with these bytes is compressed. */
bool filter_wanted(const uint8_t *bytes, size_t n);
/* What *in points to is borrowed until filter_close. */
int filter_open(struct filter **out, const struct compressed *in, struct error *err);
/* Up to n bytes; *got is 0 at the end. A stream that is cut short or damaged is an error. */
int filter_read(struct filter *filter, void *buffer, size_t n, size_t *got, struct error *err);
const char *filter_name(const struct filter *filter); /* static text */
void filter_close(struct filter *filter);	      /* NULL-safe */

#endif
