#include "archive/peek.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool begins(const uint8_t first[SECTOR_SIZE], uint8_t uuid[UUID_SIZE])
{
	struct landmark mark;

	if (!landmark_recognise(first, &mark) || !mark.is_head || mark.format != FORMAT_VMAB)
		return false;
	memcpy(uuid, mark.uuid, UUID_SIZE);
	return true;
}

bool peek_archive(int folder, const char *name, uint8_t uuid[UUID_SIZE], int *sys)
{
	uint8_t first[SECTOR_SIZE];
	struct stat status;
	size_t got = 0;
	int fd;

	*sys = 0;
	if (fstatat(folder, name, &status, 0) != 0 || !S_ISREG(status.st_mode))
		return false;
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		*sys = errno == ENOENT ? 0 : errno;
		return false;
	}
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		*sys = io_pread(fd, first, sizeof(first), 0, &got);
	close(fd);
	return *sys == 0 && got == sizeof(first) && begins(first, uuid);
}
