/* Decompression of what is around an archive, by libarchive. Private to input/. */
#ifndef READER_INPUT_FILTER_H
#define READER_INPUT_FILTER_H

#include "format/common.h"

#define FILTER_MAGIC_MAX 9u /* bytes to look at */

struct filter;

/* Whether data that begins like this is compressed. */
bool filter_wanted(const uint8_t *bytes, size_t n);

/* The stream is the bytes in begin, then what fd gives. begin and fd are borrowed; begin's memory
 * is used for reading fd from then on until filter_close. */
int filter_open(struct filter **out, int fd, uint8_t *begin, size_t n, struct error *err);
/* Up to n bytes; *got 0 at the end. A stream that is cut short or damaged is an error. */
int filter_read(struct filter *filter, void *buffer, size_t n, size_t *got, struct error *err);
const char *filter_name(const struct filter *filter);
void filter_close(struct filter *filter);

#endif
