/*
 * An archive that is made again, compared with what a run that broke off has left of it. Private to
 * output/.
 */
#ifndef WRITER_OUTPUT_COMPARE_H
#define WRITER_OUTPUT_COMPARE_H

#include "base/error.h"

/* How many of these n bytes the file has at position before the first one that is another. */
int compare_file(int fd, uint64_t position, const uint8_t *bytes, size_t n, size_t *same,
		 struct error *err);

#endif
