#include "writer/output/behind.h"
#include "base/io.h"

#include <fcntl.h>

#define STEP (8u << 20)	 /* bytes started at a time */
#define FAR  (4u * STEP) /* bytes that may be in write-back */

int behind_follow(struct behind *behind, int fd, uint64_t position)
{
	int sys = 0;

	while (sys == 0 && position - behind->started_at >= STEP) {
		sys = writeback_range(fd, behind->started_at, STEP, SYNC_FILE_RANGE_WRITE);
		behind->started_at += STEP;
	}
	while (sys == 0 && behind->started_at - behind->dropped_at > FAR) {
		sys = writeback_range(fd, behind->dropped_at, STEP,
				      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					      SYNC_FILE_RANGE_WAIT_AFTER);
		posix_fadvise(fd, (off_t)behind->dropped_at, STEP, POSIX_FADV_DONTNEED);
		behind->dropped_at += STEP;
	}
	return sys;
}

void behind_end(const struct behind *behind, int fd)
{
	posix_fadvise(fd, (off_t)behind->dropped_at, 0, POSIX_FADV_DONTNEED);
}
