/*
 * The file that an archive is read from. Private to input/.
 *
 * A tape drive gives a block for each read, which must have room for all of it: a read that is too
 * small fails (ENOMEM), and the block is lost, as the tape has moved past it. A read that is larger
 * than the drive, the adapter or the driver can do fails too, but before the tape moves. So it
 * begins large, and is made smaller until it works.
 */
#ifndef READER_INPUT_DESCRIPTOR_H
#define READER_INPUT_DESCRIPTOR_H

#include "base/error.h"

struct descriptor {
	int fd;
	const char *name;    /* for messages; borrowed */
	size_t largest;	     /* bytes of a read, as far as is known */
	size_t unit;	     /* of which largest is a multiple */
	uint32_t block_size; /* of a tape, if each has the same; else 0 */
	bool is_tape;
	bool ended; /* a read found the end: on a tape another archive may follow the filemark */
};

/* fd: borrowed. */
struct descriptor descriptor_of(int fd, const char *name);

/* One read. *got 0 at the end, from then on always. Of a tape, n should be TAPE_READ or more. */
#define TAPE_READ (16u << 20)
int descriptor_read(struct descriptor *from, void *buffer, size_t n, size_t *got,
		    struct error *err);

#endif
