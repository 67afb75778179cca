#include "archive/in_use.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_MS 50u
#define PATIENCE_MS \
	10000 /* a prune has a lock alone for as long as it takes to remove a few files */

static bool is_file(int folder, const char *file)
{
	struct stat status;

	return fstatat(folder, file, &status, 0) == 0 && S_ISREG(status.st_mode);
}

int in_use_hold(struct in_use *out, const char *path, struct error *err)
{
	int64_t until_ms = clock_ms() + PATIENCE_MS;
	struct stat status;
	int code;

	*out = (struct in_use){.fd = -1};
	if (!is_file(AT_FDCWD, path))
		return 0;
	out->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (out->fd < 0)
		return 0;
	out->is_held = true;
	while ((code = flock(out->fd, LOCK_SH | LOCK_NB)) != 0 && errno == EWOULDBLOCK &&
	       clock_ms() < until_ms)
		clock_sleep_ms(STEP_MS);
	if (code != 0 && errno == EWOULDBLOCK)
		return fail(err, ERR_LOCKED, "%s: another run of vmabak is removing it", path);
	if (fstat(out->fd, &status) == 0 && status.st_nlink == 0)
		return fail(err, ERR_SYSTEM, "%s: was removed or replaced meanwhile", path);
	return 0;
}

/* Network file systems lock alone only what may be written. */
int in_use_seize(struct in_use *out, int folder, const char *file)
{
	*out = (struct in_use){.fd = -1};
	if (!is_file(folder, file))
		return 0;
	out->fd = openat(folder, file, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (out->fd < 0)
		out->fd = openat(folder, file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (out->fd < 0)
		return 0;
	out->is_held = true;
	return flock(out->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

void in_use_end(struct in_use *held)
{
	if (held->is_held)
		close(held->fd);
	*held = (struct in_use){.fd = -1};
}
