#include "archive/folder_doubt.h"

#include "base/io.h"
#include "base/name.h"
#include "format/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP  65536u
#define FIRST UINT64_C(5242880) /* more than the largest section: behind a lost head begins one */

/* Whether a section or head begins in these bytes. Negative: they cannot be read. */
static int look(int fd, uint64_t from, uint64_t end)
{
	uint8_t bytes[STEP];
	struct landmark mark;
	size_t got;

	for (; from < end; from += STEP) {
		if (io_pread(fd, bytes, STEP, from, &got) != 0)
			return -1;
		for (size_t at = 0; got - at >= SECTOR_SIZE; at += SECTOR_SIZE)
			if (landmark_recognise(bytes + at, &mark) && mark.format == FORMAT_VMAB)
				return 1;
		if (got < STEP)
			break;
	}
	return 0;
}

static int look_into(int fd, uint64_t size_bytes)
{
	uint64_t last = size_bytes < STEP ? 0 : (size_bytes - STEP) / SECTOR_SIZE * SECTOR_SIZE;
	int found = look(fd, 0, least(FIRST, size_bytes));

	return found != 0 ? found : look(fd, last, size_bytes);
}

bool folder_doubt(int folder, const char *file, char *why, size_t size)
{
	struct stat status;
	int fd, found;

	if (fstatat(folder, file, &status, 0) != 0 || !S_ISREG(status.st_mode) ||
	    status.st_size < (off_t)SECTOR_SIZE)
		return false;
	fd = openat(folder, file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return false;
	found = fd < 0 ? -1 : look_into(fd, (uint64_t)status.st_size);
	if (fd >= 0)
		close(fd);
	snprintf(why, size, "%s", found < 0 ? "cannot be read" : "does not begin like an archive");
	return found != 0 || has_ending(file, ".vmab");
}
