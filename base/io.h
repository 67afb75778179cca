/*
 * Reading and writing whole: a call that the system cuts short or interrupts goes on.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Both: 0 or errno. *got: how many bytes were read, whatever is returned; fewer than n with 0 only
 * where the file ends. got may be NULL for a caller that needs them all: an early end is EIO then.
 */
int io_read(int fd, void *to, size_t n, size_t *got);
int io_pread(int fd, void *to, size_t n, uint64_t offset, size_t *got);

/* All n bytes at offset. 0 or errno; flags as in pwritev2(2). */
int io_pwrite(int fd, const void *from, size_t n, uint64_t offset, int flags);

/* sync_file_range with those flags: 0, or the errno of what was lost. The kernel tells a descriptor
 * of each write-back error once, and may do so here: an error that is dropped here is one that the
 * fsync at the end does not see any more. */
int writeback_range(int fd, uint64_t offset, uint64_t n, unsigned flags);

/* All n bytes where the descriptor is, waiting for a pipe that is full even if somebody made it
 * non-blocking. 0 or errno. */
int io_write(int fd, const void *from, size_t n);

/* fsync. Pipes, and some devices, cannot be synced, which is no error. 0 or errno. */
int io_sync(int fd);

/* Makes it durable that this file is in its folder, or no longer there. 0 or errno; some network
 * file systems know no such thing, which is no error. */
int io_sync_folder(const char *path);

#endif
