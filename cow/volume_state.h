/*
 * A volume, shared by its parts: volume.c has the requests of guests, volume_gate.c what holds them
 * and what they are led to. Private to these two.
 */
#ifndef COW_VOLUME_STATE_H
#define COW_VOLUME_STATE_H

#include "cow/capture_state.h"
#include "cow/mirror_state.h"

#include <pthread.h>
#include <stdatomic.h>

/* A drive that the volume leads to, and how many requests that pass no gate are at it. */
struct volume_place {
	struct drive *drive; /* borrowed */
	_Atomic uint64_t users;
};

struct volume {
	char *name;
	bool writable;
	/* places[place] is the drive. The other one: that which was before, until nothing uses it.
	 */
	struct volume_place places[2];
	_Atomic unsigned place;
	struct generation *map; /* borrowed, or NULL */
	_Atomic uint64_t in_flight;
	_Atomic unsigned n_holds; /* above 0 the gate is closed */
	atomic_bool unsettled;	  /* what is to be durable waits: see volume_switch */
	atomic_int owed;	  /* an error that the next flush tells: see volume_owe */
	_Atomic(struct captured *) armed;
	_Atomic(struct captured *) preparing; /* capture_since.c; NULL while armed is not */
	_Atomic uint64_t users;		      /* of *armed and *preparing */
	_Atomic(struct mirror *) mirror;      /* changes are noted for it */
	_Atomic uint64_t mirror_users;
	atomic_bool claimed;	  /* by a capture, or for a moment by a mirror */
	_Atomic int64_t asked_ns; /* when the last request came, by the coarse clock; 0: none yet */
	pthread_mutex_t lock;	  /* for sleeping; changed: one of the above has changed */
	pthread_cond_t changed;
};

/* A request that changes data is in flight until volume_leave. False: the gate is closed, and the
 * request may not wait (DRIVE_NOW). */
bool volume_enter(struct volume *volume, unsigned flags);
void volume_leave(struct volume *volume);

/* The capture's part, until volume_stop_looking; or NULL. at: armed or preparing. */
struct captured *volume_look(struct volume *volume, _Atomic(struct captured *) *at);
void volume_stop_looking(struct volume *volume);

/* The mirror, until volume_leave_mirror; or NULL. */
struct mirror *volume_find_mirror(struct volume *volume);
void volume_leave_mirror(struct volume *volume);

/* While in flight. */
static inline struct drive *volume_here(struct volume *volume)
{
	return volume->places[atomic_load_explicit(&volume->place, memory_order_acquire)].drive;
}

/* For requests that pass no gate: the drive cannot be taken away until it is given back. */
struct drive *volume_borrow(struct volume *volume, unsigned *place);
void volume_give_back(struct volume *volume, unsigned place);
/* Until what was done before can be made durable here: see volume_switch. */
void volume_await_settled(struct volume *volume);

#endif
