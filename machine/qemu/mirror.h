/*
 * Mirrors of drives of a running QEMU. QEMU has no mirror that begins with what changed. So its
 * job mirrors only what the guest writes from now on (blockdev-mirror sync=none), and is "ready" at
 * once; what the target lacks, all of the drive or what a bitmap names, a process of ours copies
 * from an export of the drive to the same target. Neither it nor the target can fail a write of
 * the guest, or hold it up: QEMU writes to the target in the background.
 *
 * That process, the keeper, is started by "mirror start" and lives until the mirror is over. It has
 * QEMU's monitor for moments only, a lock on the run directory of the monitor's place, and there a
 * control socket, over which it is asked as a serve is (machine/serve/mirror.h).
 *
 *   none -> start -> copying <-> in sync -> pivoted
 *                       |           |
 *                       +-> failed  +---> aborted
 *
 * Why data that was copied never takes the place of newer data: a bitmap r, added after the job was
 * ready, records what the guest writes. A write that ends marks r, and then the job, which copies
 * it afterwards. After a batch was copied:
 *
 *   - a cluster that r does not name was not written meanwhile: all later writes to it are copied
 *     by the job after we wrote
 *   - one that r names may have been copied by the job before we wrote older data: it is copied
 *     again, until r does not name it, or names it since we wrote, and then the job copies it
 *
 * What is taken from r and what is cleared in it is the same, by a transaction.
 *
 * With a state file another bitmap, keep, records from before the mirror on. It has what the target
 * may lack if the mirror ended just now. It is cut in two generations, as what the target has was
 * lost with its host if it was not flushed: a new one is added, all that was written before is
 * awaited on the target, which is flushed; the state file names the new one; the old one goes.
 *
 * What is left when the keeper is killed, or QEMU, or the host:
 *
 *   before the job       the state says that the target has nothing, or what it had
 *   copying, in sync     the job goes on, and harms nobody. keep goes on. "status" finds that the
 *                        keeper is gone, "start" ends the job and begins anew with what keep and
 *                        the state have, "abort" ends it.
 *                        Connections that QEMU would not outlive a guard keeps, until it has
 *                        ended the exports
 *   settling             both generations record; the state names one that is there
 *   all jobs pending     the guest's requests wait: the guard cancels all, and the guest goes on
 *                        where it was
 *   some finalized       the guard finalizes all
 *   pivoted, no state    the guest is at the target, and the old drive counts as having nothing
 *   QEMU ended           a persistent keep is there again; otherwise all is copied
 *   target gone          the job fails, the guest does not notice, keep goes on
 *
 * Names: what belongs to a mirror with the id ID is called vmabak-mirror-ID-N (jobs, exports,
 * nodes), keep is vmabak-keep-ID-GENERATION with the id of the state file. The last cluster is set
 * in each keep from its beginning: without it it was cleared, or the drive made smaller.
 */
#ifndef MACHINE_QEMU_MIRROR_H
#define MACHINE_QEMU_MIRROR_H

#include "base/error.h"

struct watcher;

/* The keeper: takes one request from the socket, answers when the mirror has begun or failed to,
 * closes it, and returns when the mirror is over. */
int mirror_keep(int fd, const char *place, const struct watcher *watcher, struct error *err);
/* For the guard: a keeper of that run was killed while jobs might be pending. finalize: it had
 * begun to. */
struct qmp;
int mirror_release(struct qmp *qmp, const char *id, bool finalize, struct error *err);
/* For the guard of its connections: ends what the keeper was reading from. The jobs stay. */
int mirror_unread(struct qmp *qmp, const char *id, struct error *err);
/* For what makes QEMU wait until nothing is in flight. ERR_LOCKED: the target of a mirror, whoever
 * keeps it, has answered nothing for 3 s. */
int mirror_check_answers(struct qmp *qmp, struct error *err);

#endif
