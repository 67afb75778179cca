/*
 * What volumes and mirrors need of each other. Private to cow/.
 */
#ifndef COW_MIRROR_STATE_H
#define COW_MIRROR_STATE_H

#include "base/error.h"

struct drive;
struct mirror;
struct volume;

/* ---- volume_gate.c ---- */

/* From now on changes are noted for it, once the drive has them; all of them, if that is done while
 * the volume is held and drained. False: it has a mirror already. */
bool volume_set_mirror(struct volume *volume, struct mirror *mirror);
/* While held and drained: none are noted from here on. */
void volume_clear_mirror(struct volume *volume);
/* At any time. When it returns no request uses the mirror any more. */
void volume_drop_mirror(struct volume *volume);

/* While held and drained, with the volume claimed: requests come to this drive from now on. What is
 * to be durable (a flush, a write with FUA) waits until volume_settle: an answer to it promises
 * that the change of drives is durable, too. */
void volume_switch(struct volume *volume, struct drive *drive);
void volume_settle(struct volume *volume);
/* The guest's next flush fails with that errno: one that failed here took the error away from it.
 */
void volume_owe(struct volume *volume, int sys);
/* Until no request is at the drive that the volume had before. */
void volume_await_left(struct volume *volume);

/* ---- mirror_marks.c ---- */

/* These bytes of the volume's drive were changed, or may have been; the request is still in flight.
 */
void mirror_mark(struct mirror *mirror, uint64_t offset, uint64_t n);
/* Whether a request that changes data should be slowed down before it begins. */
bool mirror_is_late(const struct mirror *mirror);
/* Slows it down, by MIRROR_HOLD_MS at most. */
void mirror_hold_back(struct mirror *mirror);

#endif
