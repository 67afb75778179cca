#include "base/writeback.h"

#include <errno.h>
#include <fcntl.h>

int writeback_range(int fd, uint64_t offset, uint64_t n, unsigned flags)
{
	if (sync_file_range(fd, (off_t)offset, (off_t)n, flags) == 0)
		return 0;
	int sys = errno;
	/* Some sandboxes do not have the call, or forbid it even when it is to do nothing. Nothing
	 * is lost then: fsync does it all. */
	bool forbidden = sys == EPERM && sync_file_range(fd, 0, 0, 0) != 0;
	return sys == ENOSYS || forbidden ? 0 : sys;
}
