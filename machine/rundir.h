/*
 * The run directory: FOLDER/vmabak-ID, where FOLDER is TMPDIR or /tmp, or what the user names. The
 * socket in it, called nbd, is where QEMU finds the exports of a run, or we find QEMU's; scratch
 * images lie beside it. The directory belongs to us; a QEMU of another user gets in by its group.
 * Every path below is that of the socket, which stands for the run.
 *
 * A run that has died is recognised by what it left, whose names hold the id and this path, and by
 * the lock, which it does not hold any more.
 */
#ifndef MACHINE_RUNDIR_H
#define MACHINE_RUNDIR_H

#include "base/error.h"

#include <sys/types.h>

#define RUN_ID_SIZE 9u /* bytes: eight hexadecimal digits and a NUL */

void run_id_make(char id[RUN_ID_SIZE]);

/* Owned by the caller; NULL: no memory. */
char *rundir_path(const char *id);
/* In that folder, which is absolute. ERR_USAGE when the path would be too long for a socket. */
int rundir_path_in(char **out, const char *folder, const char *id, struct error *err);
/* The URI of an export at that socket, the directory, and the file of that number beside the
 * socket. Owned by the caller; NULL: no memory. */
char *rundir_uri(const char *path, const char *export);
char *rundir_folder(const char *path);
char *rundir_file(const char *path, unsigned number);
/* Whether a path that another program names is one of the run's, or of any run's. */
bool rundir_fits(const char *path, const char *id);
bool rundir_id(const char *path, char id[RUN_ID_SIZE]);

/* Makes the directory. One that exists must be ours. */
int rundir_make(const char *path, struct error *err);
/* The socket, or the file, exists: lets a group use it. */
int rundir_open(const char *path, gid_t group, struct error *err);
/* It does not exist yet: lets a group make it. */
int rundir_admit(const char *path, gid_t group, struct error *err);
/* As long as the descriptor is open, the run is alive. Negative: another process holds the lock
 * (errno is EWOULDBLOCK), or there is no such directory. */
int rundir_lock(const char *path);
/* Removes the directory if it is empty. */
void rundir_remove(const char *path);

#endif
