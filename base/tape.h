/*
 * Tape drives: st(4) and whatever else answers its ioctls.
 */
#ifndef BASE_TAPE_H
#define BASE_TAPE_H

#include "base/error.h"

struct tape {
	bool is_tape;
	uint32_t block_size; /* bytes of each block that the drive is set to; 0: blocks of any size
			      */
};

/* What an open file is. Never an error: what does not answer like a tape is none. */
struct tape tape_of(int fd);

/* For what may be a tape and could not be opened: it may be protected, or in use by another program,
 * which is ERR_LOCKED. */
int tape_fail_open(const char *name, int sys, struct error *err);

/* Writes a filemark. What the drive had buffered is on the tape when this returns 0. */
int tape_write_filemark(int fd, const char *name, struct error *err);

#endif
