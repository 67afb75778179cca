/*
 * A scratch image: where QEMU saves what the guest overwrites while its drive is read.
 *
 * When there is no room for that, QEMU fails the guest's write. So room is reserved ahead of what
 * QEMU writes, always SCRATCH_AHEAD bytes or all that the image can ever need; when that fails
 * there is still time to end the backup.
 */
#ifndef MACHINE_QEMU_SCRATCH_H
#define MACHINE_QEMU_SCRATCH_H

#include "base/error.h"

#define SCRATCH_AHEAD (UINT64_C(128) << 20)

struct scratch {
	int fd;
	char *path;	      /* owned */
	bool named;	      /* path is its name */
	uint64_t most_bytes;  /* the largest size of the file */
	uint64_t taken_bytes; /* reserved, from its beginning */
};

/* Has qemu-img make an empty qcow2 of this virtual size, or copies one of that size that is still
 * empty, which takes less time: like, or NULL. Takes the first room. path is taken over. *out is
 * always safe to close, even after a failure. */
int scratch_make(struct scratch *out, char *path, uint64_t size_bytes, const struct scratch *like,
		 struct error *err);
/* Reserves more room as the file grows. ERR_SYSTEM: there is none. */
int scratch_take_room(struct scratch *scratch, struct error *err);
/* Whether write-back to the disk has lost data of a scratch image since fd was opened, or earlier
 * without anyone being told: data read from it may then be wrong. Neither writes nor waits, which
 * would hold up the guest, except on overlayfs. */
int scratch_check_kept(int fd, const char *path, struct error *err);
/* Removes its name; QEMU and this process have it open. */
void scratch_unlink(struct scratch *scratch);
void scratch_close(struct scratch *scratch); /* unlinks */

#endif
