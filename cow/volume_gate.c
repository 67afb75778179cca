/*
 * What leads a guest's requests: the gate they pass, and the drive they come to.
 *
 * The gate. A request that changes data adds itself to in_flight, then checks whether the gate is
 * closed. The thread that closes the gate counts itself in n_holds, then checks in_flight. Both are
 * sequentially consistent, so one of the two sees the other: either the request turns back and
 * waits, or the closing thread waits for the request. The lock is only for sleeping: while the gate
 * is open no request takes it.
 *
 * A request is in flight from its first part to its last, so that an instant never splits it. Only
 * requests that may take very long (zeroing and trimming of more than GATE_MAX bytes) pass the gate
 * piece by piece.
 *
 * Armed. The pointer to the capture's part changes from NULL only while the gate is closed and
 * nothing is in flight, so a request sees one value throughout, unless the capture ends. That may
 * happen at any time. So a request adds itself to users before it dereferences the pointer, and
 * then reads the pointer again. The thread that disarms clears the pointer and waits until users is
 * 0: the pattern of the gate.
 *
 * Places. A pivot gives a volume another drive while the gate is closed and nothing is in flight.
 * Reads and flushes pass no gate: they count themselves at the place they go to, and then look
 * whether it is still the place; so whoever waits until nobody is at the old one can close it.
 */
#include "cow/volume_state.h"

#include "base/clock.h"

static void tell(struct volume *volume)
{
	pthread_mutex_lock(&volume->lock);
	pthread_cond_broadcast(&volume->changed);
	pthread_mutex_unlock(&volume->lock);
}

void volume_leave(struct volume *volume)
{
	atomic_fetch_sub(&volume->in_flight, 1);
	if (atomic_load(&volume->n_holds) > 0)
		tell(volume);
}

static bool is_shut(struct volume *volume, unsigned flags)
{
	return atomic_load(&volume->n_holds) > 0 ||
	       ((flags & DRIVE_FUA) && atomic_load(&volume->unsettled));
}

bool volume_enter(struct volume *volume, unsigned flags)
{
	for (;;) {
		atomic_fetch_add(&volume->in_flight, 1);
		if (!is_shut(volume, flags))
			return true;
		volume_leave(volume);
		if (flags & DRIVE_NOW)
			return false;
		pthread_mutex_lock(&volume->lock);
		while (is_shut(volume, flags))
			pthread_cond_wait(&volume->changed, &volume->lock);
		pthread_mutex_unlock(&volume->lock);
	}
}

bool volume_claim(struct volume *volume)
{
	return !atomic_exchange(&volume->claimed, true);
}

void volume_unclaim(struct volume *volume)
{
	atomic_store(&volume->claimed, false);
}

void volume_hold(struct volume *volume)
{
	atomic_fetch_add(&volume->n_holds, 1);
}

bool volume_drain(struct volume *volume, int64_t until_ms)
{
	bool drained;
	int code = 0;

	pthread_mutex_lock(&volume->lock);
	/* Seeing 0 once is enough: later requests count themselves for a moment, but turn back. */
	while (!(drained = atomic_load(&volume->in_flight) == 0) && code == 0)
		code = clock_cond_wait(&volume->changed, &volume->lock, until_ms);
	pthread_mutex_unlock(&volume->lock);
	return drained;
}

void volume_let_go(struct volume *volume)
{
	pthread_mutex_lock(&volume->lock);
	atomic_fetch_sub(&volume->n_holds, 1);
	pthread_cond_broadcast(&volume->changed);
	pthread_mutex_unlock(&volume->lock);
}

void volume_prepare(struct volume *volume, struct captured *captured)
{
	atomic_store(&volume->preparing, captured);
}

void volume_arm(struct volume *volume, struct captured *captured)
{
	/* Nobody uses it: nothing is in flight. */
	atomic_store(&volume->preparing, NULL);
	atomic_store(&volume->armed, captured);
}

void volume_stop_looking(struct volume *volume)
{
	atomic_fetch_sub(&volume->users, 1);
	if (atomic_load(&volume->armed) == NULL)
		tell(volume);
}

struct captured *volume_look(struct volume *volume, _Atomic(struct captured *) *at)
{
	if (atomic_load_explicit(at, memory_order_relaxed) == NULL)
		return NULL;
	atomic_fetch_add(&volume->users, 1);
	struct captured *captured = atomic_load(at);
	if (captured == NULL)
		volume_stop_looking(volume);
	return captured;
}

void volume_disarm(struct volume *volume)
{
	atomic_store(&volume->armed, NULL);
	atomic_store(&volume->preparing, NULL);
	pthread_mutex_lock(&volume->lock);
	while (atomic_load(&volume->users) != 0)
		pthread_cond_wait(&volume->changed, &volume->lock);
	pthread_mutex_unlock(&volume->lock);
}

/* ---- the mirror ---- */

/* The pattern of volume_look. */
struct mirror *volume_find_mirror(struct volume *volume)
{
	if (atomic_load_explicit(&volume->mirror, memory_order_relaxed) == NULL)
		return NULL;
	atomic_fetch_add(&volume->mirror_users, 1);
	struct mirror *mirror = atomic_load(&volume->mirror);
	if (mirror == NULL)
		volume_leave_mirror(volume);
	return mirror;
}

void volume_leave_mirror(struct volume *volume)
{
	atomic_fetch_sub(&volume->mirror_users, 1);
	if (atomic_load(&volume->mirror) == NULL)
		tell(volume);
}

bool volume_set_mirror(struct volume *volume, struct mirror *mirror)
{
	struct mirror *none = NULL;

	return atomic_compare_exchange_strong(&volume->mirror, &none, mirror);
}

void volume_clear_mirror(struct volume *volume)
{
	atomic_store(&volume->mirror, NULL);
}

void volume_drop_mirror(struct volume *volume)
{
	volume_clear_mirror(volume);
	pthread_mutex_lock(&volume->lock);
	while (atomic_load(&volume->mirror_users) != 0)
		pthread_cond_wait(&volume->changed, &volume->lock);
	pthread_mutex_unlock(&volume->lock);
}

/* ---- another drive ---- */

struct drive *volume_borrow(struct volume *volume, unsigned *place)
{
	for (;;) {
		*place = atomic_load(&volume->place);
		atomic_fetch_add(&volume->places[*place].users, 1);
		if (atomic_load(&volume->place) == *place)
			return volume->places[*place].drive;
		volume_give_back(volume, *place);
	}
}

void volume_give_back(struct volume *volume, unsigned place)
{
	atomic_fetch_sub(&volume->places[place].users, 1);
}

void volume_switch(struct volume *volume, struct drive *drive)
{
	unsigned other = 1 - atomic_load(&volume->place);

	volume->places[other].drive = drive;
	atomic_store(&volume->unsettled, true);
	atomic_store(&volume->place, other);
}

void volume_settle(struct volume *volume)
{
	atomic_store(&volume->unsettled, false);
	tell(volume);
}

void volume_owe(struct volume *volume, int sys)
{
	atomic_store(&volume->owed, sys);
}

void volume_await_settled(struct volume *volume)
{
	if (!atomic_load(&volume->unsettled))
		return;
	pthread_mutex_lock(&volume->lock);
	while (atomic_load(&volume->unsettled))
		pthread_cond_wait(&volume->changed, &volume->lock);
	pthread_mutex_unlock(&volume->lock);
}

void volume_await_left(struct volume *volume)
{
	while (atomic_load(&volume->places[1 - atomic_load(&volume->place)].users) > 0)
		clock_sleep_ms(1);
}
