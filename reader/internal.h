/* Between the files of reader/. */
#ifndef READER_INTERNAL_H
#define READER_INTERNAL_H

#include "reader/reader.h"

/* Borrowed. */
struct input *reader_input(const struct reader *reader);

#endif
