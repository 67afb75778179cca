/*
 * Volumes: guest requests, and the gate they pass.
 *
 * The gate. A request that changes data adds itself to in_flight, then checks whether the gate is
 * closed. The thread that closes the gate sets closed, then checks in_flight. Both are sequentially
 * consistent, so one of the two sees the other: either the request turns back and waits, or the
 * closing thread waits for the request. The lock is only for sleeping: while the gate is open no
 * request takes it.
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
 */
#include "cow/capture_state.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GATE_MAX  (256u << 20) /* bytes */
#define STRETCH	  64u	       /* clusters that are saved, then changed, at once */
#define ACTIVE_NS 1000000000

struct volume {
	char *name;
	struct drive *drive;	/* borrowed */
	struct generation *map; /* borrowed, or NULL */
	_Atomic uint64_t in_flight;
	atomic_bool closed;
	_Atomic(struct captured *) armed;
	_Atomic(struct captured *) preparing; /* capture_since.c; NULL while armed is not */
	_Atomic uint64_t users;		      /* of *armed and *preparing */
	atomic_bool claimed;		      /* by a capture */
	_Atomic int64_t asked_ns; /* when the last request came, by the coarse clock; 0: none yet */
	pthread_mutex_t lock;	  /* for sleeping; changed: one of the above has changed */
	pthread_cond_t changed;
};

static void note_request(struct volume *volume)
{
	int64_t now = clock_coarse_ns();

	/* Storing the same value again would only move the cache line between processors. */
	if (atomic_load_explicit(&volume->asked_ns, memory_order_relaxed) != now)
		atomic_store_explicit(&volume->asked_ns, now, memory_order_relaxed);
}

bool volume_guest_is_active(const struct volume *volume)
{
	int64_t asked = atomic_load_explicit(&volume->asked_ns, memory_order_relaxed);

	return asked != 0 && clock_coarse_ns() < asked + ACTIVE_NS;
}

int volume_new(struct volume **out, const char *name, struct drive *drive, struct generation *map,
	       struct error *err)
{
	struct volume *volume = calloc(1, sizeof(*volume));

	if (volume != NULL)
		volume->name = strdup(name);
	if (volume == NULL || volume->name == NULL) {
		free(volume);
		return fail_system(err, ENOMEM, "%s", name);
	}
	volume->drive = drive;
	volume->map = map;
	pthread_mutex_init(&volume->lock, NULL);
	clock_cond_init(&volume->changed);
	*out = volume;
	return 0;
}

void volume_free(struct volume *volume)
{
	if (volume == NULL)
		return;
	pthread_cond_destroy(&volume->changed);
	pthread_mutex_destroy(&volume->lock);
	free(volume->name);
	free(volume);
}

const char *volume_name(const struct volume *volume)
{
	return volume->name;
}

struct drive *volume_drive(const struct volume *volume)
{
	return volume->drive;
}

struct generation *volume_map(const struct volume *volume)
{
	return volume->map;
}

/* ---- the gate ---- */

static void tell(struct volume *volume)
{
	pthread_mutex_lock(&volume->lock);
	pthread_cond_broadcast(&volume->changed);
	pthread_mutex_unlock(&volume->lock);
}

static void leave(struct volume *volume)
{
	atomic_fetch_sub(&volume->in_flight, 1);
	if (atomic_load(&volume->closed))
		tell(volume);
}

/* False: the gate is closed, and the request may not wait. */
static bool enter(struct volume *volume, bool now)
{
	for (;;) {
		atomic_fetch_add(&volume->in_flight, 1);
		if (!atomic_load(&volume->closed))
			return true;
		leave(volume);
		if (now)
			return false;
		pthread_mutex_lock(&volume->lock);
		while (atomic_load(&volume->closed))
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
	atomic_store(&volume->closed, true);
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
	atomic_store(&volume->closed, false);
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

static void stop_looking(struct volume *volume)
{
	atomic_fetch_sub(&volume->users, 1);
	if (atomic_load(&volume->armed) == NULL)
		tell(volume);
}

/* The capture's part, until stop_looking; or NULL. at: armed or preparing. */
static struct captured *look(struct volume *volume, _Atomic(struct captured *) *at)
{
	if (atomic_load_explicit(at, memory_order_relaxed) == NULL)
		return NULL;
	atomic_fetch_add(&volume->users, 1);
	struct captured *captured = atomic_load(at);
	if (captured == NULL)
		stop_looking(volume);
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

/* ---- requests that change data ---- */

static int flush(struct volume *volume)
{
	int code = drive_flush(volume->drive);

	if (code != 0 && volume->map != NULL)
		generation_drop(volume->map);
	return code;
}

struct change {
	int (*apply)(struct volume *volume, const struct change *change);
	uint64_t offset, n;
	const uint8_t *from; /* of a write */
	unsigned flags;
};

static int apply_write(struct volume *volume, const struct change *change)
{
	return drive_write(volume->drive, change->offset, change->from, (uint32_t)change->n,
			   change->flags);
}

static int apply_zero(struct volume *volume, const struct change *change)
{
	return drive_zero(volume->drive, change->offset, change->n, change->flags);
}

static int apply_trim(struct volume *volume, const struct change *change)
{
	return drive_trim(volume->drive, change->offset, change->n);
}

static uint64_t cluster_end(uint64_t offset, uint64_t n)
{
	return clusters_of(offset + n);
}

/* Old data is already saved. The map is marked before the write can reach the drive: it may name
 * more than was written, never less. */
static int apply(struct volume *volume, const struct change *change)
{
	uint64_t first = change->offset / CLUSTER_SIZE;

	if (volume->map != NULL)
		generation_mark(volume->map, first, cluster_end(change->offset, change->n) - first);
	return change->apply(volume, change);
}

/* The first part of the change, up to the end of this cluster. */
static struct change part_of(const struct change *change, uint64_t end_cluster)
{
	struct change part = *change;

	part.n = least(part.n, end_cluster * CLUSTER_SIZE - part.offset);
	return part;
}

static void go_on(struct change *change, uint64_t n)
{
	change->offset += n;
	change->n -= n;
	if (change->from != NULL)
		change->from += n;
}

/* Saves what the next part overwrites, and returns the cluster where that part ends. *leave_out:
 * the part is to be skipped. */
static uint64_t prepare_part(struct captured *captured, const struct change *change,
			     bool *leave_out, uint64_t *delay_ns)
{
	uint64_t first = change->offset / CLUSTER_SIZE;
	uint64_t last = cluster_end(change->offset, change->n);
	uint64_t end = saved_until(captured, first, last);

	*leave_out = false;
	if (change->apply == apply_trim && captured_is_pressed(captured)) {
		*leave_out = end == first;
		return end > first ? end : first + 1;
	}
	uint64_t stretch = least((first / STRETCH + 1) * STRETCH, last);
	*delay_ns += captured_save(captured, first, stretch);
	return saved_until(captured, stretch, last);
}

static int change_in_parts(struct volume *volume, struct captured *captured, struct change change)
{
	uint64_t delay_ns = 0;
	int code = 0;

	while (change.n > 0 && code == 0) {
		bool leave_out;
		uint64_t end = prepare_part(captured, &change, &leave_out, &delay_ns);
		struct change part = part_of(&change, end);
		if (!leave_out)
			code = apply(volume, &part);
		go_on(&change, part.n);
	}
	captured_add_delay(captured, delay_ns);
	return code;
}

/* A capture that is being prepared may have passed these clusters of the map before they were
 * marked. The map was marked before; the fence: capture_since.c. */
static void note_change(struct volume *volume, const struct change *change)
{
	struct captured *captured;

	atomic_thread_fence(memory_order_seq_cst);
	captured = look(volume, &volume->preparing);
	if (captured == NULL)
		return;
	captured_want(captured, change->offset / CLUSTER_SIZE,
		      cluster_end(change->offset, change->n));
	stop_looking(volume);
}

/* In flight. */
static int change_now(struct volume *volume, const struct change *change)
{
	struct captured *captured = look(volume, &volume->armed);
	int code;

	if (captured == NULL) {
		code = apply(volume, change);
		note_change(volume, change);
		return code;
	}
	uint64_t first = change->offset / CLUSTER_SIZE, delay_ns = 0;
	uint64_t end = cluster_end(change->offset, change->n);
	bool saved = saved_until(captured, first, end) == end;
	if (!saved && (change->flags & DRIVE_NOW))
		saved = captured_save_now(captured, first, end, &delay_ns);
	if (saved) {
		code = apply(volume, change);
		if (code != EAGAIN)
			captured_add_delay(captured, delay_ns);
	} else if (change->flags & DRIVE_NOW) {
		code = EAGAIN;
	} else {
		code = change_in_parts(volume, captured, *change);
	}
	stop_looking(volume);
	return code;
}

static int change_volume(struct volume *volume, const struct change *change)
{
	note_request(volume);
	if (!drive_is_writable(volume->drive))
		return EPERM;
	if (change->n == 0)
		return 0;
	if (!enter(volume, change->flags & DRIVE_NOW))
		return EAGAIN;
	int code = change_now(volume, change);
	/* An error of write-back is told to whoever asks next: that may be a write with FUA. */
	if (volume->map != NULL && (change->flags & DRIVE_FUA) && code == EIO)
		generation_drop(volume->map);
	leave(volume);
	return code;
}

int volume_write(struct volume *volume, uint64_t offset, const void *from, uint32_t n,
		 unsigned flags)
{
	const struct change change = {apply_write, offset, n, from, flags};

	return change_volume(volume, &change);
}

/* Never possible without waiting. */
static int change_long(struct volume *volume, struct change change)
{
	int code = 0;

	if (change.flags & DRIVE_NOW)
		return drive_is_writable(volume->drive) ? EAGAIN : EPERM;
	do {
		struct change part = change;
		part.n = least(part.n, GATE_MAX);
		code = change_volume(volume, &part);
		go_on(&change, part.n);
	} while (change.n > 0 && code == 0);
	return code;
}

int volume_zero(struct volume *volume, uint64_t offset, uint64_t n, unsigned flags)
{
	return change_long(volume, (struct change){apply_zero, offset, n, NULL, flags});
}

int volume_trim(struct volume *volume, uint64_t offset, uint64_t n, unsigned flags)
{
	int code = change_long(volume, (struct change){apply_trim, offset, n, NULL, flags});

	return code == 0 && (flags & DRIVE_FUA) ? flush(volume) : code;
}

/* ---- the others ---- */

int volume_read(struct volume *volume, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	note_request(volume);
	return drive_fetch(volume->drive, offset, to, n, flags);
}

int volume_flush(struct volume *volume)
{
	note_request(volume);
	return flush(volume);
}

int volume_status(struct volume *volume, uint64_t offset, uint64_t *n, bool *zero)
{
	struct error err;

	note_request(volume);
	int code = drive_status(volume->drive, offset, n, zero, &err);

	return code == 0 ? 0 : err.sys != 0 ? err.sys : EIO;
}
