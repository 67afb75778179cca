/*
 * The lock of a machine's chain in a folder: one run at a time adds to it or removes from it.
 */
#ifndef ARCHIVE_FOLDER_LOCK_H
#define ARCHIVE_FOLDER_LOCK_H

#include "base/error.h"

struct store_lock;

struct folder_lock {
	char *path; /* owned; NULL: not held */
	int fd;
	struct store_lock *store; /* owned: in an object store (store/lock.h); NULL: not held */
};

/* machine passed the allow-list. ERR_LOCKED: another run still has it after so many seconds. The
 * system releases the lock of a run that was killed; its file stays, and is taken over. *out can be
 * released even after an error. */
int folder_lock_take(struct folder_lock *out, const char *folder, const char *machine,
		     uint64_t wait_s, struct error *err);
void folder_lock_release(struct folder_lock *lock);

#endif
