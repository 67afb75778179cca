#include "base/tape.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mtio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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

int tape_fail_open(const char *name, int sys, struct error *err)
{
	fail_system(err, sys, "%s%s", name, sys == EROFS ? ": the tape is write-protected" : "");
	if (sys == EBUSY)
		err->code = ERR_LOCKED;
	return err->code;
}

/* MTWEOF, unlike the filemark that closing writes, waits for the drive whatever st was told about
 * immediate filemarks, and tells of errors even where somebody else has the file open too, as a
 * shell has standard output. A signal can only interrupt it before it begins. */
int tape_write_filemark(int fd, const char *name, struct error *err)
{
	struct mtop mark = {.mt_op = MTWEOF, .mt_count = 1};
	int result;

	do
		result = ioctl(fd, MTIOCTOP, &mark);
	while (result != 0 && errno == EINTR);
	if (result != 0)
		return fail_system(
			err, errno,
			"%s: writing the filemark: the archive is not safely on the tape", name);
	return 0;
}
