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
char *meetingplace_path(const char *id);
/* In that folder, which is absolute. ERR_USAGE when the path would be too long for a socket. */
int meetingplace_path_in(char **out, const char *folder, const char *id, struct error *err);
/* The URI of an export at that socket; owned by the caller. */
char *meetingplace_uri(const char *path, const char *export);
/* Beside the socket; owned by the caller. */
char *meetingplace_file(const char *path, unsigned number);
/* Whether a path that QEMU tells is one of the run's. */
bool meetingplace_fits(const char *path, const char *id);

/* Makes the folder. One that is there must be ours. */
int meetingplace_make(const char *path, struct error *err);
/* The socket is there: lets QEMU in. */
int meetingplace_open(const char *path, const struct qmp *qmp, struct error *err);
/* Before the socket is there: lets a group make it. */
int meetingplace_admit(const char *path, gid_t group, struct error *err);
/* As long as the descriptor is open, the run is alive. Negative: another one has it (errno is
 * EWOULDBLOCK), or there is no such folder. */
int meetingplace_lock(const char *path);
/* Takes the folder away when it is empty. */
void meetingplace_remove(const char *path);

#endif
