/*
 * A pivot: volumes go from their drives to the targets of their mirrors.
 *
 * The targets are flushed while the guest goes on, so that little is left to be flushed after it.
 * Then all gates are held, requests in flight are waited for, and the threads of the mirrors copy
 * what is left. When nothing is left on any of them both sides are the same; if that takes too long
 * the guest goes on where it was, and another attempt is made later. Else the volumes are switched
 * and the gates opened.
 *
 * What a power cut leaves. Until the record of the pivot is durable the drives count that the guest
 * had, and they have all that it was told to be durable: what it wants durable after the switch
 * waits until the targets and then the record are. What a kill leaves: the record is written before
 * the first write goes to a target alone.
 */
#include "cow/mirror_parts.h"

#include "base/clock.h"

#include <stdlib.h>

#define ATTEMPTS_MAX 50u
#define PAUSE_MS     20 /* between two attempts */
#define LITTLE_MS    100
#define LITTLE_BYTES (256u << 10)
#define SYNC_MS	     10000 /* until the targets have to be in sync, and then flushed */

static int check_running(struct mirror *mirror, struct error *err)
{
	struct mirror_status status;

	mirror_status(mirror, &status);
	if (status.failed) {
		*err = status.err;
		error_prefix(err, "drive %s", volume_name(mirror->volume));
		return err->code;
	}
	return 0;
}

static int await_sync(struct mirror *mirror, int64_t until_ms, struct error *err)
{
	struct mirror_status status;

	for (mirror_status(mirror, &status); !status.in_sync; mirror_status(mirror, &status)) {
		TRY(check_running(mirror, err));
		if (clock_ms() > until_ms)
			return fail(err, ERR_SYSTEM,
				    "drive %s: is not in sync: %llu KiB are left to copy",
				    volume_name(mirror->volume),
				    (unsigned long long)(status.left_bytes + 1023) / 1024);
		clock_sleep_ms(PAUSE_MS);
	}
	return 0;
}

static void hurry_all(struct mirror *const *mirrors, uint32_t n, bool hurry)
{
	for (uint32_t i = 0; i < n; i++) {
		atomic_store(&mirrors[i]->hurry, hurry);
		mirror_wake(mirrors[i]);
	}
}

/* With the gates closed. False: not in time. */
static bool are_equal(struct mirror *const *mirrors, uint32_t n, int64_t until_ns)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!volume_drain(mirrors[i]->volume, until_ns / 1000000 + 1))
			return false;
	}
	for (uint32_t i = 0; i < n; i++) {
		while (atomic_load(&mirrors[i]->left_bytes) != 0) {
			if (clock_ns() > until_ns || atomic_load(&mirrors[i]->failed))
				return false;
			clock_sleep_until_ns(clock_ns() + 50000);
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		if (atomic_load(&mirrors[i]->failed))
			return false;
	}
	return true;
}

static int record_and_switch(struct mirror *const *mirrors, uint32_t n, struct mirror_pivot *pivot,
			     struct mirror_point *points, struct error *err)
{
	for (uint32_t i = 0; i < n; i++)
		mirror_point_here(mirrors[i], true, &points[i]);
	TRY(pivot->record(pivot->context, points, err));
	for (uint32_t i = 0; i < n; i++) {
		volume_clear_mirror(mirrors[i]->volume);
		mirrors[i]->armed = false;
		volume_switch(mirrors[i]->volume, mirrors[i]->target);
	}
	return 0;
}

/* So that the guest stands still for little. */
static void await_little(struct mirror *const *mirrors, uint32_t n)
{
	int64_t until_ms = clock_ms() + LITTLE_MS;

	for (uint32_t i = 0; i < n; i++) {
		while (atomic_load(&mirrors[i]->left_bytes) > (int64_t)LITTLE_BYTES &&
		       clock_ms() < until_ms)
			clock_sleep_until_ns(clock_ns() + 200000);
	}
}

/* On a host that is very busy the last of it takes longer. */
static int64_t limit_of(const struct mirror_pivot *pivot)
{
	return (int64_t)pivot->limit_ms * 1000000 << pivot->n_attempts / (ATTEMPTS_MAX / 5);
}

/* 1: done, 0: to be tried again. */
static int attempt(struct mirror *const *mirrors, uint32_t n, struct mirror_pivot *pivot,
		   struct mirror_point *points, struct error *err)
{
	int64_t began_ns, limit_ns = limit_of(pivot);
	int code = 0;

	await_little(mirrors, n);
	began_ns = clock_ns();
	for (uint32_t i = 0; i < n; i++)
		volume_hold(mirrors[i]->volume);
	if (are_equal(mirrors, n, began_ns + limit_ns))
		code = record_and_switch(mirrors, n, pivot, points, err) < 0 ? err->code : 1;
	for (uint32_t i = 0; i < n; i++)
		volume_let_go(mirrors[i]->volume);
	pivot->standstill_ns = (uint64_t)(clock_ns() - began_ns);
	pivot->n_attempts++;
	return code;
}

static int try_often(struct mirror *const *mirrors, uint32_t n, struct mirror_pivot *pivot,
		     struct mirror_point *points, struct error *err)
{
	int code = 0;

	hurry_all(mirrors, n, true);
	while (code == 0 && pivot->n_attempts < ATTEMPTS_MAX) {
		code = attempt(mirrors, n, pivot, points, err);
		for (uint32_t i = 0; i < n && code == 0; i++)
			code = check_running(mirrors[i], err);
		if (code == 0)
			clock_sleep_ms(PAUSE_MS);
	}
	hurry_all(mirrors, n, false);
	if (code == 0)
		fail(err, ERR_SYSTEM,
		     "the target did not get what was left while the guest stood still, in %u "
		     "attempts; the guest goes on at its drive",
		     pivot->n_attempts);
	return code > 0 ? 0 : err->code;
}

/* The guest is at the targets. What was its drives' is the mirrors' now. */
static int settle(struct mirror *const *mirrors, uint32_t n, const struct mirror_pivot *pivot,
		  struct error *err)
{
	struct error ignored;
	int code = 0;

	for (uint32_t i = 0; i < n; i++) {
		int sys = drive_flush(mirrors[i]->target);
		if (sys != 0)
			volume_owe(mirrors[i]->volume, sys);
		if (sys != 0 && code == 0)
			code = fail_system(err, sys, "%s: flushing the target",
					   volume_name(mirrors[i]->volume));
	}
	if (pivot->keep(pivot->context, code == 0 ? err : &ignored) < 0 && code == 0)
		code = err->code;
	for (uint32_t i = 0; i < n; i++) {
		struct mirror *mirror = mirrors[i];

		volume_settle(mirror->volume);
		volume_await_left(mirror->volume);
		atomic_store(&mirror->stopping, true);
		mirror_wake(mirror);
	}
	return code;
}

/* The threads of a mirror read its source until they have ended. */
static void trade_drives(struct mirror *mirror)
{
	pthread_mutex_lock(&mirror->lock);
	while (mirror->n_running > 0)
		pthread_cond_wait(&mirror->changed, &mirror->lock);
	pthread_mutex_unlock(&mirror->lock);
	struct drive *target = mirror->target;
	mirror->target = mirror->source;
	mirror->source = target;
}

static int prepare(struct mirror *const *mirrors, uint32_t n, struct error *err)
{
	int64_t until_ms = clock_ms() + SYNC_MS;
	struct mirror_instant instant;

	for (uint32_t i = 0; i < n; i++)
		TRY(await_sync(mirrors[i], until_ms, err));
	for (uint32_t i = 0; i < n; i++) {
		TRY(mirror_instant(mirrors[i], true, until_ms, &instant, err));
		TRY(mirror_settle(mirrors[i], &instant, until_ms, err));
	}
	return 0;
}

static bool claim_all(struct mirror *const *mirrors, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (volume_claim(mirrors[i]->volume))
			continue;
		while (i-- > 0)
			volume_unclaim(mirrors[i]->volume);
		return false;
	}
	return true;
}

int mirror_pivot(struct mirror *const *mirrors, uint32_t n, struct mirror_pivot *pivot,
		 bool *pivoted, struct error *err)
{
	struct mirror_point *points = calloc(n, sizeof(*points));
	int code;

	*pivoted = false;
	if (points == NULL)
		return fail_memory(err);
	if (!claim_all(mirrors, n)) {
		free(points);
		return fail(err, ERR_LOCKED, "a backup of these drives is running");
	}
	code = prepare(mirrors, n, err);
	if (code == 0)
		code = try_often(mirrors, n, pivot, points, err);
	*pivoted = code == 0;
	if (*pivoted) {
		code = settle(mirrors, n, pivot, err);
		for (uint32_t i = 0; i < n; i++)
			trade_drives(mirrors[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		volume_unclaim(mirrors[i]->volume);
	free(points);
	return code;
}

int mirror_flush_left(struct mirror *mirror)
{
	return drive_flush(mirror->target);
}
