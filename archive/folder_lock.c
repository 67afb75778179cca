/*
 * Whoever has the lock removes its file before it lets go, so that nothing is left in the folder. A
 * run that waited for it then has the lock of a file that is not there any more, and tries again.
 */
#include "archive/folder_lock.h"

#include "base/clock.h"
#include "store/lock.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_MS 100u

static bool is_still_there(const struct folder_lock *lock)
{
	struct stat named, opened;

	return lstat(lock->path, &named) == 0 && fstat(lock->fd, &opened) == 0 &&
	       named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

enum { TAKEN, BUSY, GONE };

static int try_once(struct folder_lock *lock, struct error *err)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int sys;

	lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (lock->fd < 0)
		return fail_system(err, errno, "%s", lock->path);
	sys = fcntl(lock->fd, F_OFD_SETLK, &all) == 0 ? 0 : errno;
	if (sys == 0 && is_still_there(lock))
		return TAKEN;
	close(lock->fd);
	lock->fd = -1;
	if (sys == 0)
		return GONE;
	return sys == EAGAIN || sys == EACCES ? BUSY
					      : fail_system(err, sys, "%s: locking", lock->path);
}

static int take_in_store(struct folder_lock *out, const char *folder, const char *machine,
			 uint64_t wait_s, struct error *err)
{
	char *name = text_make(".%s.lock", machine);
	int code = name == NULL ? fail_memory(err)
				: store_lock_take(&out->store, folder, name, wait_s, err);

	free(name);
	return code;
}

int folder_lock_take(struct folder_lock *out, const char *folder, const char *machine,
		     uint64_t wait_s, struct error *err)
{
	int64_t until_ms = clock_ms() + (int64_t)wait_s * 1000;
	int code;

	*out = (struct folder_lock){.fd = -1};
	if (store_is_name(folder))
		return take_in_store(out, folder, machine, wait_s, err);
	out->path = text_make("%s/.%s.lock", folder, machine);
	if (out->path == NULL)
		return fail_memory(err);
	while ((code = try_once(out, err)) > TAKEN) {
		if (code == GONE)
			continue;
		if (clock_ms() >= until_ms)
			return fail(err, ERR_LOCKED,
				    "%s: another run of vmabak works on the backups of %s; "
				    "--lock-wait SECONDS waits for it",
				    folder, machine);
		clock_sleep_ms(STEP_MS);
	}
	return code;
}

void folder_lock_release(struct folder_lock *lock)
{
	if (lock->path != NULL && lock->fd >= 0) {
		unlink(lock->path);
		close(lock->fd);
	}
	store_lock_release(lock->store);
	free(lock->path);
	*lock = (struct folder_lock){.fd = -1};
}
