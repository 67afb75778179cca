/*
 * Having the kernel write a part of a file out before anybody syncs it.
 */
#ifndef BASE_WRITEBACK_H
#define BASE_WRITEBACK_H

#include "base/error.h"

/* sync_file_range with those flags: 0, or the errno of what was lost. The kernel tells a descriptor
 * of each write-back error once, and may do so here: an error that is dropped here is one that the
 * fsync at the end does not see any more. */
int writeback_range(int fd, uint64_t offset, uint64_t n, unsigned flags);

#endif
