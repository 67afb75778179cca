/* Commands over an archive in memory. */
#ifndef TESTS_FUZZ_MEMORY_RESTORE_H
#define TESTS_FUZZ_MEMORY_RESTORE_H

#include "format/format.h"

enum memory_command {
	MEMORY_LIST,	     /* the head, and whether there is a tail */
	MEMORY_VERIFY_QUICK, /* checksums of what is stored */
	MEMORY_VERIFY,
	MEMORY_RESTORE,
	MEMORY_RESTORE_SOME, /* every other drive, by the index if there is one */
};

/* Whether maps of all drives are no great matter: at most 64 drives, 64 GiB in all. */
bool memory_is_small(const struct archive *archive);

/* The result of the command over these bytes: 0 or a code. What the reader promises to a target is
 * held against it, and so is that all of a drive was written when there was no error. Archives that
 * claim very much are read no further than their head: that is 0, and *tried is false. */
int memory_run(enum memory_command command, const uint8_t *bytes, size_t size, bool *tried,
	       struct error *err);

#endif
