/*
 * The state folder of a machine: what is kept of it between backups, such as maps of changes. One
 * run uses it at a time.
 */
#ifndef MACHINE_STATE_H
#define MACHINE_STATE_H

#include "base/error.h"

struct state {
	char *folder; /* owned */
	int lock;
};

/* In this folder, or that of the machine's name, when folder is NULL: /var/lib/vmabak/MACHINE.
 * Makes it if need be. Both are borrowed. machine NULL, or not usable as a name: ERR_USAGE without
 * a folder. ERR_LOCKED: another run uses it. *out can be closed even after a failure. */
int state_open(struct state *out, const char *folder, const char *machine, struct error *err);
/* The same, but makes none. 1: open; 0: there is no such folder. */
int state_find(struct state *out, const char *folder, const char *machine, struct error *err);
void state_close(struct state *state);

/* The map of a drive, whose name has passed the allow-list. Owned by the caller; NULL: no memory.
 */
char *state_map(const struct state *state, const char *drive);

#endif
