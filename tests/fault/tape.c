/*
 * Makes a file behave like a tape in a drive that does not rewind, as st(4) does. Preloaded; in the
 * environment:
 *
 *   TAPE            the file: for each block its length, 4 bytes, and its bytes; a length of 0 is
 *                   a filemark. It ends where the tape was written last. TAPE.at: where the tape is
 *   TAPE_LARGEST    bytes of the largest read or write that the drive takes (1048576)
 *   TAPE_ADAPTER    bytes of the largest read that its adapter can do (any)
 *   TAPE_BLOCK      bytes of each block that the drive is set to (0: any)
 *   TAPE_ROOM       bytes of the file after which it warns: every other write is refused (none)
 *   TAPE_BEHIND     bytes that go on it after that (1048576); 0: it ends without a warning
 *   TAPE_SILENT     set: the drive does not say where the tape is
 *   TAPE_COUNTS     how many blocks fewer than there are it counts after a filemark
 *   TAPE_LATE       set: the drive loses what it buffers, and says so at the filemark
 *   TAPE_PROTECTED  set: it is not to be written; nor is one whose file has no write permission
 *   TAPE_STUCK      set: it cannot be wound to the next file
 *
 * One thread at a time has to do with the tape.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mtio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static bool wrote;	  /* since the last filemark */
static bool warned;	  /* the write before was refused, so that this one is not */
static bool at_end;	  /* nothing was where it read or moved last */
static bool marked;	  /* a filemark was written */
static int position = -1; /* TAPE.at, open from the beginning: the program may be confined later */

static long setting(const char *name, long otherwise)
{
	const char *text = getenv(name);
	return text != NULL ? atol(text) : otherwise;
}

static int failed(int number)
{
	errno = number;
	return -1;
}

static void make_tape(struct stat *st)
{
	st->st_mode = (st->st_mode & 07777) | S_IFCHR;
	st->st_rdev = makedev(9, 128);
	st->st_size = 0;
}

static bool same(const struct stat *st)
{
	struct stat tape;
	const char *path = getenv("TAPE");
	return path != NULL && REAL(stat)(path, &tape) == 0 && tape.st_ino == st->st_ino &&
	       tape.st_dev == st->st_dev;
}

static bool is_tape(int fd)
{
	struct stat st;
	return REAL(fstat)(fd, &st) == 0 && same(&st);
}

/* ---- what the program calls ---- */

int stat(const char *restrict path, struct stat *restrict st)
{
	int result = REAL(stat)(path, st);
	if (result == 0 && same(st))
		make_tape(st);
	return result;
}

int fstat(int fd, struct stat *st)
{
	int result = REAL(fstat)(fd, st);
	if (result == 0 && same(st))
		make_tape(st);
	return result;
}

__attribute__((constructor)) static void open_position(void)
{
	char path[4096];
	if (getenv("TAPE") == NULL)
		return;
	snprintf(path, sizeof path, "%s.at", getenv("TAPE"));
	position = REAL(open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (position < 0)
		abort();
}

static void remember(off_t at)
{
	if (pwrite(position, &at, sizeof at, 0) != sizeof at)
		abort();
}

int open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	int fd = REAL(open)(path, flags, mode);
	if (fd < 0 || !is_tape(fd))
		return fd;
	struct stat st;
	if ((flags & O_ACCMODE) != O_RDONLY &&
	    (getenv("TAPE_PROTECTED") != NULL || fstat(fd, &st) != 0 || (st.st_mode & 0222) == 0)) {
		REAL(close)(fd);
		return failed(EROFS);
	}
	off_t at = 0;
	if (pread(position, &at, sizeof at, 0) < 0)
		abort();
	lseek(fd, at, SEEK_SET);
	return fd;
}

static ssize_t read_block(int fd, void *buffer, uint32_t room)
{
	uint32_t length = 0;
	ssize_t (*read_file)(int, void *, size_t) = REAL(read);
	at_end = read_file(fd, &length, sizeof length) != sizeof length;
	if (at_end)
		return failed(EIO);
	if (length <= room)
		return read_file(fd, buffer, length);
	lseek(fd, length, SEEK_CUR);
	return failed(ENOMEM);
}

/* With blocks of one size a read gives as many as fit, up to a filemark. */
static ssize_t read_blocks(int fd, uint8_t *buffer, size_t n, size_t block)
{
	size_t got = 0;
	while (got + block <= n) {
		ssize_t result = read_block(fd, buffer + got, (uint32_t)block);
		if (result < 0 || (result > 0 && (size_t)result != block))
			return got > 0 ? (ssize_t)got : failed(EIO);
		if (result == 0 && got > 0)
			lseek(fd, -(off_t)sizeof(uint32_t), SEEK_CUR);
		if (result == 0)
			break;
		got += (size_t)result;
	}
	return (ssize_t)got;
}

ssize_t read(int fd, void *buffer, size_t n)
{
	size_t block = (size_t)setting("TAPE_BLOCK", 0);
	if (!is_tape(fd))
		return REAL(read)(fd, buffer, n);
	if (block == 0 && n > (size_t)setting("TAPE_LARGEST", 1 << 20))
		return failed(EINVAL);
	if (n > (size_t)setting("TAPE_ADAPTER", 1 << 30))
		return failed(EBUSY);
	ssize_t result = block != 0 ? read_blocks(fd, buffer, n, block)
				    : read_block(fd, buffer, (uint32_t)n);
	remember(lseek(fd, 0, SEEK_CUR));
	return result;
}

/* n = 0: a filemark. */
static void write_block(int fd, const void *buffer, uint32_t n)
{
	const struct iovec parts[] = {{&n, sizeof n}, {(void *)buffer, n}};
	off_t at = lseek(fd, 0, SEEK_CUR);
	if (REAL(writev)(fd, parts, n > 0 ? 2 : 1) < 0 || ftruncate(fd, at + 4 + (off_t)n) != 0)
		abort();
	remember(at + 4 + (off_t)n);
}

ssize_t write(int fd, const void *buffer, size_t n)
{
	size_t block = (size_t)setting("TAPE_BLOCK", 0);
	size_t step = block != 0 ? block : n;
	if (!is_tape(fd))
		return REAL(write)(fd, buffer, n);
	if (block != 0 ? n % block != 0 : n > (size_t)setting("TAPE_LARGEST", 1 << 20))
		return failed(EINVAL);
	off_t end = lseek(fd, 0, SEEK_CUR) + (off_t)n;
	long room = setting("TAPE_ROOM", 1L << 40);
	long behind = room + setting("TAPE_BEHIND", 1 << 20);
	warned = behind > room && end > room && !warned;
	if (block != 0 && !warned && end > behind) /* as many blocks as fit */
		for (; n > 0 && end > behind; n -= block)
			end -= (off_t)block + 4;
	if (warned || end > behind || n == 0)
		return failed(ENOSPC);
	for (size_t at = 0; at < n && getenv("TAPE_LATE") == NULL; at += step)
		write_block(fd, (const uint8_t *)buffer + at, (uint32_t)step);
	wrote = wrote || n > 0;
	return (ssize_t)n;
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
	if (!is_tape(fd))
		return REAL(writev)(fd, parts, n);
	ssize_t done = 0;
	for (int i = 0; i < n; i++) {
		ssize_t result = write(fd, parts[i].iov_base, parts[i].iov_len);
		if (result < 0)
			return done > 0 ? done : result;
		done += result;
	}
	return done;
}

/* Behind the next filemark; without one at the end, and false. */
static bool skip_file(int fd)
{
	uint32_t length;
	while (REAL(read)(fd, &length, sizeof length) == sizeof length) {
		if (length == 0)
			return true;
		lseek(fd, length, SEEK_CUR);
	}
	at_end = true;
	return false;
}

/* Before the last filemark before this place; without one at the beginning, and false. */
static bool back_file(int fd)
{
	off_t at = lseek(fd, 0, SEEK_CUR), here = 0, mark = -1;
	uint32_t length;
	for (; here < at && pread(fd, &length, sizeof length, here) == sizeof length;
	     here += 4 + (off_t)length)
		mark = length == 0 ? here : mark;
	lseek(fd, mark < 0 ? 0 : mark, SEEK_SET);
	return mark >= 0;
}

static int operate(int fd, const struct mtop *operation)
{
	bool found = true;
	at_end = false;
	switch (operation->mt_op) {
	case MTWEOF:
		if (wrote && getenv("TAPE_LATE") != NULL)
			return failed(EIO);
		write_block(fd, NULL, 0);
		wrote = false;
		marked = true;
		return 0;
	case MTREW:
		lseek(fd, 0, SEEK_SET);
		break;
	case MTEOM:
		lseek(fd, 0, SEEK_END);
		break;
	case MTBSF:
		found = back_file(fd);
		break;
	case MTFSF:
		if (getenv("TAPE_STUCK") != NULL)
			return failed(EIO);
		for (int i = 0; i < operation->mt_count && found; i++)
			found = skip_file(fd);
		break;
	default:
		return failed(ENOTTY);
	}
	remember(lseek(fd, 0, SEEK_CUR));
	return found ? 0 : failed(EIO);
}

/* How many blocks and filemarks lie before this place; fd may be for writing only. */
static int tell_position(int fd, struct mtpos *out)
{
	off_t at = lseek(fd, 0, SEEK_CUR), here = 0;
	uint32_t length;
	long n = 0;
	int tape = REAL(open)(getenv("TAPE"), O_RDONLY | O_CLOEXEC);
	if (tape < 0)
		return failed(EIO);
	for (; here < at && pread(tape, &length, sizeof length, here) == sizeof length; n++)
		here += 4 + (off_t)length;
	REAL(close)(tape);
	out->mt_blkno = n - (marked ? setting("TAPE_COUNTS", 0) : 0);
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	va_start(args, request);
	void *what = va_arg(args, void *);
	va_end(args);
	if (!is_tape(fd))
		return REAL(ioctl)(fd, request, what);
	if (request == MTIOCGET) {
		*(struct mtget *)what = (struct mtget){.mt_dsreg = setting("TAPE_BLOCK", 0),
						       .mt_gstat = at_end ? 0x08000000 : 0};
		return 0;
	}
	if (request == MTIOCPOS && getenv("TAPE_SILENT") == NULL)
		return tell_position(fd, what);
	return request == MTIOCTOP ? operate(fd, what) : failed(ENOTTY);
}

int close(int fd)
{
	bool mark = wrote && is_tape(fd), lost = mark && getenv("TAPE_LATE") != NULL;
	if (mark && !lost)
		write_block(fd, NULL, 0);
	wrote = wrote && !mark;
	int result = REAL(close)(fd);
	return lost ? failed(EIO) : result;
}
