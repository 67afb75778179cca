/*
 * Archives that a run needs until it ends: the parent of what it writes, or the newest of a chain
 * that it reads. The run holds a shared lock (flock) of the file, and prune removes none without
 * having had its lock alone: what a locked archive stands on is kept with it.
 */
#ifndef ARCHIVE_IN_USE_H
#define ARCHIVE_IN_USE_H

#include "base/error.h"

/* All zero: not held. */
struct in_use {
	int fd;
	bool is_held;
};

/* Of a regular file that can be opened; of anything else, and where files have no locks, nothing is
 * held. ERR_LOCKED or ERR_SYSTEM: it is being removed, or was. */
int in_use_hold(struct in_use *out, const char *path, struct error *err);
/* Takes the lock alone. 1: another run holds it; 0: none does, or nobody can know. */
int in_use_seize(struct in_use *out, int folder, const char *file);
void in_use_end(struct in_use *held);

#endif
