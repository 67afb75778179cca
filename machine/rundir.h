/*
 * The socket where QEMU finds the exports of a run: FOLDER/vmabak-ID/nbd, FOLDER being TMPDIR or
 * /tmp. The folder of the run belongs to us; QEMU, when it runs as somebody else, gets in by its
 * group.
 */
#ifndef MACHINE_RUNDIR_H
#define MACHINE_RUNDIR_H

#include "base/error.h"

#include <sys/types.h>

struct qmp;

/* Owned by the caller. */
char *rundir_path(const char *id);
/* In that folder, which is absolute. ERR_USAGE when the path would be too long for a socket. */
int rundir_path_in(char **out, const char *folder, const char *id, struct error *err);
/* The URI of an export at that socket; owned by the caller. */
char *rundir_uri(const char *path, const char *export);
/* Beside the socket; owned by the caller. */
char *rundir_file(const char *path, unsigned number);
/* Whether a path that QEMU tells is one of the run's. */
bool rundir_fits(const char *path, const char *id);

/* Makes the folder. One that is there must be ours. */
int rundir_make(const char *path, struct error *err);
/* The socket is there: lets QEMU in. */
int rundir_open(const char *path, const struct qmp *qmp, struct error *err);
/* Before the socket is there: lets a group make it. */
int rundir_admit(const char *path, gid_t group, struct error *err);
/* As long as the descriptor is open, the run is alive. Negative: another one has it (errno is
 * EWOULDBLOCK), or there is no such folder. */
int rundir_lock(const char *path);
/* Takes the folder away when it is empty. */
void rundir_remove(const char *path);

#endif
