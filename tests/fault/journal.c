/*
 * Keeps a journal of what the program writes to a drive and its map, and of what it has waited for.
 * Preloaded; cut.c makes of it what a power cut may leave on the disk.
 *
 *   JOURNAL        the file, which exists
 *   JOURNAL_DRIVE, JOURNAL_MAP   these exist, too
 *
 * A thread that waits for a moment more than 15 s ahead waits for 50 ms, and is told then that it
 * has come: what is done every half minute is done all the time.
 */
#define _GNU_SOURCE
#include "tests/fault/journal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NEXT(type, name, ...)             \
	static type (*real)(__VA_ARGS__); \
	if (real == NULL)                 \
	*(void **)&real = dlsym(RTLD_NEXT, name)

static int journal = -1;
static ino_t inodes[2];
static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Held from a write of the drive to its note: of two that overlap the later one is noted later,
 * too. */
static pthread_mutex_t in_order = PTHREAD_MUTEX_INITIALIZER;

static void begin(void)
{
	struct stat drive, map;

	if (getenv("JOURNAL") == NULL || stat(getenv("JOURNAL_DRIVE"), &drive) != 0 ||
	    stat(getenv("JOURNAL_MAP"), &map) != 0)
		return;
	inodes[JOURNAL_OF_DRIVE] = drive.st_ino;
	inodes[JOURNAL_OF_MAP] = map.st_ino;
	journal = open(getenv("JOURNAL"), O_WRONLY | O_APPEND | O_CLOEXEC);
}

/* Of which file, or -1. */
static int file_of(int fd)
{
	struct stat found;

	pthread_once(&once, begin);
	if (journal < 0 || fd == journal || fstat(fd, &found) != 0 || !S_ISREG(found.st_mode))
		return -1;
	return found.st_ino == inodes[0] ? 0 : found.st_ino == inodes[1] ? 1 : -1;
}

static void note(int file, enum journal_kind kind, off_t offset, const void *data, size_t n)
{
	struct journal_record record = {(uint32_t)kind, (uint32_t)file, (uint64_t)offset, n};
	struct iovec parts[2] = {{&record, sizeof(record)}, {(void *)data, data == NULL ? 0 : n}};

	if (writev(journal, parts, 2) != (ssize_t)(sizeof(record) + parts[1].iov_len))
		abort();
}

/* Those of the map are in order by its own locks, and one that waits for the disk keeps none up. */
static void begin_write(int file)
{
	if (file == JOURNAL_OF_DRIVE)
		pthread_mutex_lock(&in_order);
}

static void end_write(int file)
{
	if (file == JOURNAL_OF_DRIVE)
		pthread_mutex_unlock(&in_order);
}

ssize_t pwrite64(int fd, const void *from, size_t n, off_t offset)
{
	NEXT(ssize_t, "pwrite64", int, const void *, size_t, off_t);
	int file = file_of(fd);

	begin_write(file);
	ssize_t done = real(fd, from, n, offset);
	if (file >= 0 && done > 0)
		note(file, JOURNAL_WRITE, offset, from, (size_t)done);
	end_write(file);
	return done;
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int n, off_t offset, int flags)
{
	NEXT(ssize_t, "pwritev64v2", int, const struct iovec *, int, off_t, int);
	int file = file_of(fd);

	begin_write(file);
	ssize_t done = real(fd, parts, n, offset, flags);
	int saved = errno;
	if (file >= 0 && done > 0)
		note(file, flags & RWF_DSYNC ? JOURNAL_WRITE_THROUGH : JOURNAL_WRITE, offset,
		     parts[0].iov_base, (size_t)done);
	end_write(file);
	errno = saved;
	return done;
}

static int sync_file(int fd, int (*real)(int), enum journal_kind end)
{
	int file = file_of(fd);

	if (file >= 0)
		note(file, JOURNAL_SYNC, (off_t)pthread_self(), NULL, 0);
	int code = real(fd);
	if (file >= 0 && code == 0)
		note(file, end, (off_t)pthread_self(), NULL, 0);
	return code;
}

int fsync(int fd)
{
	NEXT(int, "fsync", int);
	return sync_file(fd, real, JOURNAL_FSYNCED);
}

int fdatasync(int fd)
{
	NEXT(int, "fdatasync", int);
	return sync_file(fd, real, JOURNAL_SYNCED);
}

int ftruncate64(int fd, off_t size)
{
	NEXT(int, "ftruncate64", int, off_t);
	int code = real(fd, size), file = file_of(fd);

	if (file >= 0 && code == 0)
		note(file, JOURNAL_CUT, size, NULL, 0);
	return code;
}

int fallocate64(int fd, int mode, off_t offset, off_t n)
{
	NEXT(int, "fallocate64", int, int, off_t, off_t);
	int file = file_of(fd);

	begin_write(file);
	int code = real(fd, mode, offset, n);
	if (file >= 0 && code == 0 && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
		note(file, JOURNAL_ZERO, offset, NULL, (size_t)n);
	end_write(file);
	return code;
}

/* ---- time ---- */

static _Thread_local int64_t ahead_s;

int clock_gettime(clockid_t clock, struct timespec *out)
{
	NEXT(int, "clock_gettime", clockid_t, struct timespec *);
	int code = real(clock, out);

	if (clock == CLOCK_MONOTONIC)
		out->tv_sec += ahead_s;
	return code;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
			   const struct timespec *until)
{
	NEXT(int, "pthread_cond_timedwait", pthread_cond_t *, pthread_mutex_t *,
	     const struct timespec *);
	struct timespec now, soon;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (until->tv_sec - now.tv_sec < 15) {
		soon = *until;
		soon.tv_sec -= ahead_s;
		return real(cond, mutex, &soon);
	}
	soon = now;
	soon.tv_sec -= ahead_s;
	soon.tv_nsec += 50000000;
	if (soon.tv_nsec >= 1000000000) {
		soon.tv_nsec -= 1000000000;
		soon.tv_sec++;
	}
	int code = real(cond, mutex, &soon);
	if (code == ETIMEDOUT)
		ahead_s += until->tv_sec - now.tv_sec + 1;
	return code;
}
