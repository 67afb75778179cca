/*
 * A scratch image: where QEMU saves what the guest overwrites while its drive is read.
 *
 * When there is no room for that, QEMU has the guest's write fail. So room is taken ahead of what
 * QEMU writes, always by SCRATCH_AHEAD bytes or all that it can ever need; when that cannot be had
 * there is still time to end the backup.
 */
#ifndef MACHINE_QEMU_SCRATCH_H
#define MACHINE_QEMU_SCRATCH_H

#include "base/error.h"

#define SCRATCH_AHEAD (UINT64_C(128) << 20)

struct scratch {
	int fd;
	char *path;	      /* owned */
	bool named;	      /* it has that name */
	uint64_t most_bytes;  /* the file can have */
	uint64_t taken_bytes; /* of room, from its beginning */
};

/* Has qemu-img make an empty qcow2 of this virtual size, and takes the first room. path is taken
 * over. *out is always safe to close, even after a failure. */
int scratch_make(struct scratch *out, char *path, uint64_t size_bytes, struct error *err);
/* Takes more as the file has grown. ERR_SYSTEM: there is none. */
int scratch_take_room(struct scratch *scratch, struct error *err);
/* Whether write-back to the disk has lost anything of a scratch image since fd was opened, or
 * before unseen: what was read of it up to now may then be wrong. Neither writes nor waits, so that
 * the guest is not held up, but on overlayfs. */
int scratch_check_kept(int fd, const char *path, struct error *err);
/* Removes its name; QEMU and we have it open. */
void scratch_unlink(struct scratch *scratch);
void scratch_close(struct scratch *scratch); /* unlinks */

#endif
