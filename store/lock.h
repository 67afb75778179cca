/*
 * A lock that is an object of the store, made where there is none (If-None-Match): so only one run
 * has it, on whatever host. That of a run that was killed is taken over by the next one of the same
 * host and user; of another host's nobody knows whether it lives: who has it is told.
 *
 * Whether a store heeds the condition is asked each time, by saying once more what was said. Where
 * it does not, each run has an object of its own besides, NAME.TOKEN, and lists those of others
 * only after it has written it: of two runs at least one sees the other, and gives way. All that
 * this needs is that a list shows what was written before.
 */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "base/error.h"

struct store_lock;

/* path: as for store_folder_open. ERR_LOCKED: another run still has it after so many seconds. *out
 * is NULL after an error. */
int store_lock_take(struct store_lock **out, const char *path, const char *name, uint64_t wait_s,
		    struct error *err);
void store_lock_release(struct store_lock *lock); /* NULL-safe */
/* All of this process, when it is about to end. Any thread. */
void store_locks_abandon(void);

#endif
