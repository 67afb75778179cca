/* Salvage of an archive in memory. */
#ifndef TESTS_FUZZ_MEMORY_SALVAGE_H
#define TESTS_FUZZ_MEMORY_SALVAGE_H

#include "reader/salvage.h"

/* All that a salvage does, but for writing drives; 0 or the code. What it promises is held against
 * it: a cluster that is told as good has the checksum that is told with it, and lies within its
 * drive. What comes goes to also, too, if that is not NULL. *archive, if asked for, is what the
 * drives are called and how large: borrowed until the next call. */
int memory_salvage(const uint8_t *bytes, size_t size, const struct salvage_sink *also,
		   const struct archive **archive, struct error *err);

#endif
