#include "base/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mtio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAJOR_OF_ST 9u
#define DSREG_BLOCK 0xffffffu /* of mt_dsreg: the block size, as st(4) says */

struct tape tape_of(int fd)
{
	struct tape tape = {0};
	struct mtget status;
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode))
		return tape;
	if (ioctl(fd, MTIOCGET, &status) == 0) {
		tape.is_tape = true;
		tape.block_size = (uint32_t)status.mt_dsreg & DSREG_BLOCK;
	} else {
		tape.is_tape = major(st.st_rdev) == MAJOR_OF_ST;
	}
	return tape;
}

bool tape_is_name(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) == MAJOR_OF_ST;
}

int tape_fail_open(const char *name, int sys, struct error *err)
{
	fail_system(err, sys, "%s%s", name, sys == EROFS ? ": the tape is write-protected" : "");
	if (sys == EBUSY)
		err->code = ERR_LOCKED;
	return err->code;
}

/* 0 or errno. A signal can only interrupt it before it begins. */
static int operate(int fd, short operation, int count)
{
	struct mtop what = {.mt_op = operation, .mt_count = count};
	int result;

	do
		result = ioctl(fd, MTIOCTOP, &what);
	while (result != 0 && errno == EINTR);
	return result != 0 ? errno : 0;
}

/* MTWEOF, unlike the filemark that closing writes, waits for the drive whatever st was told about
 * immediate filemarks, and tells of errors even where somebody else has the file open too, as a
 * shell has standard output. */
int tape_write_filemark(int fd, const char *name, struct error *err)
{
	int sys = operate(fd, MTWEOF, 1);

	return sys == 0 ? 0
			: fail_system(err, sys,
				      "%s: writing the filemark: the archive is not safely on the "
				      "tape",
				      name);
}

int tape_rewind(int fd, const char *name, struct error *err)
{
	int sys = operate(fd, MTREW, 1);

	return sys == 0 ? 0 : fail_system(err, sys, "%s: rewinding the tape", name);
}

int tape_to_end(int fd, const char *name, struct error *err)
{
	int sys = operate(fd, MTEOM, 1);

	return sys == 0 ? 0
			: fail_system(err, sys,
				      "%s: moving behind the last archive on the tape (--force "
				      "writes where the tape is)",
				      name);
}

bool tape_is_at_end(int fd)
{
	struct mtget status;

	return ioctl(fd, MTIOCGET, &status) == 0 && GMT_EOD(status.mt_gstat) != 0;
}

int tape_next_file(int fd, const char *name, struct error *err)
{
	int sys = operate(fd, MTFSF, 1);

	if (sys == 0)
		return 0;
	if (sys == EIO && tape_is_at_end(fd))
		return fail(err, ERR_INCOMPLETE, "%s: the end of what is on the tape", name);
	return fail_system(err, sys, "%s: moving to the next archive", name);
}

/* Without a filemark before st stands at the beginning of the tape, and says so by an error. */
int tape_to_begin_of_file(int fd, const char *name, struct error *err)
{
	return operate(fd, MTBSF, 1) == 0 ? tape_next_file(fd, name, err)
					  : tape_rewind(fd, name, err);
}

bool tape_position(int fd, uint64_t *block)
{
	struct mtpos position;

	if (ioctl(fd, MTIOCPOS, &position) != 0)
		return false;
	*block = (uint64_t)position.mt_blkno;
	return true;
}

/* Sizes that the drive refuses are tried before the tape moves (reader/input/parts.h). Where the
 * block is larger than the read, there is one. */
enum tape_content tape_look(int fd, uint8_t *first, size_t n_first)
{
	uint32_t block = tape_of(fd).block_size;
	size_t unit = block != 0 ? block : 4096, size = TAPE_READ / unit * unit;
	uint8_t *buffer = malloc(size);
	ssize_t got = -1;

	if (buffer == NULL)
		return TAPE_UNKNOWN;
	memset(first, 0, n_first);
	do {
		got = read(fd, buffer, size);
		if (got >= 0 ||
		    (errno != EINVAL && errno != EBUSY && errno != EOVERFLOW && errno != EINTR))
			break;
		size = errno == EINTR ? size : size / 2 / unit * unit;
	} while (size > 0);
	int sys = got < 0 ? errno : 0;
	if (got > 0)
		memcpy(first, buffer, least((size_t)got, n_first));
	free(buffer);
	if (got > 0 || sys == ENOMEM)
		return TAPE_DATA;
	if (sys != 0 && sys != EIO)
		return TAPE_UNKNOWN;
	if (tape_is_at_end(fd))
		return TAPE_BLANK;
	return sys == 0 ? TAPE_FILEMARK : TAPE_UNKNOWN;
}
