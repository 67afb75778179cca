/*
 * Tape drives: st(4) and whatever else answers its ioctls.
 */
#ifndef BASE_TAPE_H
#define BASE_TAPE_H

#include "base/error.h"

#define TAPE_READ (16u << 20) /* bytes: the largest block there is */

struct tape {
	bool is_tape;
	uint32_t block_size; /* bytes of each block that the drive is set to; 0: blocks of any size
			      */
};

/* What an open file is. Never an error: what does not answer like a tape is none. */
struct tape tape_of(int fd);
/* The same by name, for what can be opened. */
bool tape_is_name(const char *path);

/* For what may be a tape and could not be opened: it may be protected, or in use by another
 * program, which is ERR_LOCKED. */
int tape_fail_open(const char *name, int sys, struct error *err);

/* Writes a filemark. What the drive had buffered is on the tape when this returns 0. */
int tape_write_filemark(int fd, const char *name, struct error *err);

/* To the beginning; behind the last that was written; behind the next filemark, where
 * ERR_INCOMPLETE means that there is none. */
int tape_rewind(int fd, const char *name, struct error *err);
int tape_to_end(int fd, const char *name, struct error *err);
int tape_next_file(int fd, const char *name, struct error *err);
/* Back behind the filemark before, or to the beginning of the tape. */
int tape_to_begin_of_file(int fd, const char *name, struct error *err);

/* Whether nothing is written where the tape is, as the read or motion found that failed last. */
bool tape_is_at_end(int fd);

/* The number of the block that the tape is at, filemarks counted. false: the drive does not say. */
bool tape_position(int fd, uint64_t *block);

/* What lies where the tape is; it moves on. */
enum tape_content {
	TAPE_BLANK,    /* nothing was written from here on */
	TAPE_FILEMARK, /* no data before the next filemark */
	TAPE_DATA,     /* a block: its first bytes are in the buffer */
	TAPE_UNKNOWN,  /* cannot be read */
};
enum tape_content tape_look(int fd, uint8_t *first, size_t n_first);

#endif
