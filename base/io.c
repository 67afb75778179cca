#include "base/io.h"

#include "base/name.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define AS_IT_COMES UINT64_MAX /* an offset: that of the descriptor */

static int read_whole(int fd, void *to, size_t n, uint64_t offset, size_t *got)
{
	uint8_t *bytes = to;
	size_t done = 0;
	ssize_t result;

	do {
		result = offset == AS_IT_COMES
				 ? read(fd, bytes + done, n - done)
				 : pread(fd, bytes + done, n - done, (off_t)(offset + done));
		if (result > 0)
			done += (size_t)result;
	} while (done < n && (result > 0 || (result < 0 && errno == EINTR)));
	if (got != NULL)
		*got = done;
	if (result < 0 && done < n)
		return errno;
	return got == NULL && done < n ? EIO : 0;
}

int io_read(int fd, void *to, size_t n, size_t *got)
{
	return read_whole(fd, to, n, AS_IT_COMES, got);
}

int io_pread(int fd, void *to, size_t n, uint64_t offset, size_t *got)
{
	return read_whole(fd, to, n, offset, got);
}

int io_pwrite(int fd, const void *from, size_t n, uint64_t offset, int flags)
{
	struct iovec part = {(void *)(uintptr_t)from, n};

	while (part.iov_len > 0) {
		ssize_t done = flags != 0 ? pwritev2(fd, &part, 1, (off_t)offset, flags)
					  : pwrite(fd, part.iov_base, part.iov_len, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? errno : EIO;
		part.iov_base = (uint8_t *)part.iov_base + done;
		part.iov_len -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

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

int io_write(int fd, const void *from, size_t n)
{
	struct pollfd full = {.fd = fd, .events = POLLOUT};
	const uint8_t *bytes = from;

	while (n > 0) {
		ssize_t done = write(fd, bytes, n);

		if (done == 0 || (done < 0 && errno != EINTR && errno != EAGAIN))
			return done < 0 ? errno : EIO;
		if (done < 0 && errno == EAGAIN)
			poll(&full, 1, -1);
		bytes += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
	return 0;
}

int io_sync(int fd)
{
	return fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
}

int io_sync_folder(const char *path)
{
	int length = (int)(base_name(path) - path), fd, sys = 0;
	char folder[PATH_MAX];

	if (length >= PATH_MAX)
		return ENAMETOOLONG;
	snprintf(folder, sizeof(folder), "%.*s", length == 0 ? 1 : length, length == 0 ? "." : path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (fsync(fd) != 0 && errno != EINVAL && errno != EOPNOTSUPP)
		sys = errno;
	close(fd);
	return sys;
}
