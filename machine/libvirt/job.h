/*
 * The backup job of a run in libvirt. That it is ours is told by the socket of its NBD server,
 * which lies in the folder of the run: FOLDER/vmabak-ID/nbd. That the run is alive, by a lock on
 * that folder.
 */
#ifndef MACHINE_LIBVIRT_JOB_H
#define MACHINE_LIBVIRT_JOB_H

#include "base/error.h"

struct domain;

/* Whether the job of the run with this socket is what libvirt has for the domain. */
int libvirt_job_runs(struct domain *domain, const char *socket, bool *out, struct error *err);
/* Ends it if it is there. */
int libvirt_job_stop(struct domain *domain, const char *socket, struct error *err);
/* The same, and removes socket and folder. */
int libvirt_job_end(struct domain *domain, const char *socket, struct error *err);
/* The lock of a run that is dead, or about to be; -1: it is alive (errno is EWOULDBLOCK), or its
 * folder has gone. */
int libvirt_job_lock_dead(const char *socket);
/* Before a run: ends the job of one of ours that is dead; *ended: there was one. A job of anybody
 * else, or of a run that is alive, is ERR_LOCKED. */
int libvirt_job_clear(struct domain *domain, bool *ended, struct error *err);

#endif
