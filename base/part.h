/*
 * The names that files have until they are complete (base/newfile.h), and whether a run that writes
 * one of these is alive.
 */
#ifndef BASE_PART_H
#define BASE_PART_H

#include <limits.h>
#include <stdbool.h>

#define PART_RANDOM 6
#define PART_RESUME "resume" /* in place of what is random: one that can be taken up */

extern const char part_letters[]; /* 32 */

void part_name(const char *name, const char *random, char out[NAME_MAX + 1]);
/* Until all descriptors of this opening are closed. False, with errno: another run has it, or there
 * are no locks here. */
bool part_lock(int fd);

/* Removes what runs have left of this file: on a local file system, where nobody holds the lock. */
void part_remove_dead_of(int folder, const char *name);
/* The same of all files in this folder whose names wanted accepts, without those that can be taken
 * up. */
void part_remove_dead(const char *folder, bool (*wanted)(void *context, const char *name),
		      void *context);

#endif
