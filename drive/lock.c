#include "drive/backing.h"

#include <errno.h>
#include <fcntl.h>

#define USES	100
#define REFUSES 200
#define END	300
#define WRITES	1
#define RESIZES 3
#define CHANGES (RESIZES - WRITES + 1) /* permissions, from WRITES on */

static struct flock range(short type, off_t byte, off_t n)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = n,
	};
}

static bool others_hold(int fd, off_t byte, off_t n)
{
	struct flock lock = range(F_WRLCK, byte, n);

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static bool hold(int fd, short type, off_t byte, off_t n)
{
	struct flock lock = range(type, byte, n);

	return fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

bool lock_others_write(int fd)
{
	return others_hold(fd, USES + WRITES, 1);
}

bool lock_others_use(int fd)
{
	return others_hold(fd, USES, END - USES);
}

bool lock_to_keep(int fd)
{
	return hold(fd, F_RDLCK, REFUSES + WRITES, CHANGES) && !lock_others_write(fd);
}

/* Locks first and looks afterwards, so that of two writers that come at the same time at least one
 * sees the other. */
bool lock_to_write(int fd)
{
	return hold(fd, F_RDLCK, USES, RESIZES + 1) &&
	       hold(fd, F_RDLCK, REFUSES + WRITES, CHANGES) &&
	       !others_hold(fd, USES + WRITES, CHANGES) && !others_hold(fd, REFUSES, RESIZES + 1);
}

bool lock_to_replace(int fd)
{
	return hold(fd, F_WRLCK, USES, END - USES);
}

void lock_release(int fd)
{
	hold(fd, F_UNLCK, USES, END - USES);
}
