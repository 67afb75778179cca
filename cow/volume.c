/*
 * Volumes: guest requests. The gate that they pass is in volume_gate.c.
 */
#include "cow/volume_state.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GATE_MAX  (256u << 20) /* bytes */
#define STRETCH	  64u	       /* clusters that are saved, then changed, at once */
#define ACTIVE_NS 1000000000

static void note_request(struct volume *volume)
{
	int64_t now = clock_coarse_ns();

	/* Storing the same value again would only move the cache line between processors. */
	if (atomic_load_explicit(&volume->asked_ns, memory_order_relaxed) != now)
		atomic_store_explicit(&volume->asked_ns, now, memory_order_relaxed);
}

uint64_t volume_last_request_ns(const struct volume *volume)
{
	int64_t asked = atomic_load_explicit(&volume->asked_ns, memory_order_relaxed);

	return asked == 0 ? 0 : clock_real_ns() - (uint64_t)(clock_ns() - asked);
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
	volume->places[0].drive = drive;
	volume->writable = drive_is_writable(drive);
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
	return volume->places[atomic_load(&volume->place)].drive;
}

struct generation *volume_map(const struct volume *volume)
{
	return volume->map;
}

/* ---- requests that change data ---- */

static int flush(struct volume *volume)
{
	unsigned place;

	volume_await_settled(volume);
	int code = drive_flush(volume_borrow(volume, &place));
	volume_give_back(volume, place);
	int owed = atomic_exchange(&volume->owed, 0);
	code = code != 0 ? code : owed;
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
	return drive_write(volume_here(volume), change->offset, change->from, (uint32_t)change->n,
			   change->flags);
}

static int apply_zero(struct volume *volume, const struct change *change)
{
	return drive_zero(volume_here(volume), change->offset, change->n, change->flags);
}

static int apply_trim(struct volume *volume, const struct change *change)
{
	return drive_trim(volume_here(volume), change->offset, change->n);
}

static uint64_t cluster_end(uint64_t offset, uint64_t n)
{
	return clusters_of(offset + n);
}

/* After it reached the drive: what is copied from there on has it. One that failed may have changed
 * a part. */
static void note_for_mirror(struct volume *volume, const struct change *change)
{
	struct mirror *mirror = volume_find_mirror(volume);

	if (mirror == NULL)
		return;
	mirror_mark(mirror, change->offset, change->n);
	volume_leave_mirror(volume);
}

/* Old data is already saved. The map is marked before the write can reach the drive: it may name
 * more than was written, never less. */
static int apply(struct volume *volume, const struct change *change)
{
	uint64_t first = change->offset / CLUSTER_SIZE;
	uint64_t n = cluster_end(change->offset, change->n) - first;

	if (volume->map != NULL && !(change->flags & DRIVE_NOW))
		generation_mark(volume->map, first, n);
	else if (volume->map != NULL && !generation_mark_now(volume->map, first, n))
		return EAGAIN;
	int code = change->apply(volume, change);
	if (code != EAGAIN)
		note_for_mirror(volume, change);
	return code;
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
	captured = volume_look(volume, &volume->preparing);
	if (captured == NULL)
		return;
	captured_want(captured, change->offset / CLUSTER_SIZE,
		      cluster_end(change->offset, change->n));
	volume_stop_looking(volume);
}

/* In flight. */
static int change_now(struct volume *volume, const struct change *change)
{
	struct captured *captured = volume_look(volume, &volume->armed);
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
	volume_stop_looking(volume);
	return code;
}

/* False: it would have to wait. */
static bool hold_back(struct volume *volume, bool now)
{
	struct mirror *mirror = volume_find_mirror(volume);
	bool late = mirror != NULL && mirror_is_late(mirror);

	if (late && !now)
		mirror_hold_back(mirror);
	if (mirror != NULL)
		volume_leave_mirror(volume);
	return !late || !now;
}

static int change_volume(struct volume *volume, const struct change *change)
{
	note_request(volume);
	if (!volume->writable)
		return EPERM;
	if (change->n == 0)
		return 0;
	if (!hold_back(volume, change->flags & DRIVE_NOW) || !volume_enter(volume, change->flags))
		return EAGAIN;
	int code = change_now(volume, change);
	/* An error of write-back is told to whoever asks next: that may be a write with FUA. */
	if (volume->map != NULL && (change->flags & DRIVE_FUA) && code == EIO)
		generation_drop(volume->map);
	volume_leave(volume);
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
		return volume->writable ? EAGAIN : EPERM;
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
	unsigned place;
	int code = drive_fetch(volume_borrow(volume, &place), offset, to, n, flags);

	volume_give_back(volume, place);
	return code;
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
	unsigned place;
	int code = drive_status(volume_borrow(volume, &place), offset, n, zero, &err);
	volume_give_back(volume, place);

	return code == 0 ? 0 : err.sys != 0 ? err.sys : EIO;
}
