#include "cow/mirror_parts.h"

#include "base/bits.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_MS  5000 /* for requests in flight when a mirror begins */
#define HOLD_STEP 2    /* ms until it is looked again */

/* ---- the beginning ---- */

static int allocate(struct mirror *mirror, struct error *err)
{
	uint64_t n_words = bits_words(mirror->n_clusters);

	/* A page takes memory when its first bit is set. */
	mirror->whole = calloc(n_words, sizeof(*mirror->whole));
	mirror->parts = calloc(n_words, sizeof(*mirror->parts));
	mirror->masks = calloc(mirror->n_clusters + 1, sizeof(*mirror->masks));
	return mirror->whole == NULL || mirror->parts == NULL || mirror->masks == NULL
		       ? fail_memory(err)
		       : 0;
}

static int note_fresh(struct mirror *mirror, struct error *err)
{
	mirror->fresh = calloc(bits_words(mirror->n_clusters), sizeof(*mirror->fresh));
	if (mirror->fresh == NULL)
		return fail_memory(err);
	bits_set(mirror->fresh, 0, mirror->n_clusters);
	return 0;
}

static void free_mirror(struct mirror *mirror)
{
	for (unsigned i = 0; i < mirror->n_lanes; i++)
		free(mirror->lanes[i].buffer);
	pthread_cond_destroy(&mirror->changed);
	pthread_mutex_destroy(&mirror->lock);
	free((void *)mirror->whole);
	free((void *)mirror->parts);
	free((void *)mirror->masks);
	free(mirror->fresh);
	free(mirror->watch);
	free(mirror);
}

static int new_mirror(struct mirror **out, struct volume *volume,
		      const struct mirror_options *options, struct error *err)
{
	struct mirror *mirror = calloc(1, sizeof(*mirror));

	if (mirror == NULL)
		return fail_memory(err);
	mirror->volume = volume;
	mirror->map = volume_map(volume);
	mirror->source = volume_drive(volume);
	mirror->target = options->target;
	mirror->size_bytes = drive_size(mirror->source);
	mirror->n_clusters = clusters_of(mirror->size_bytes);
	mirror->n_lanes = options->n_lanes;
	mirror->rate = options->bytes_per_s;
	mirror->may_hold = options->may_hold;
	mirror->moved_ms = clock_ms();
	pthread_mutex_init(&mirror->lock, NULL);
	clock_cond_init(&mirror->changed);
	if (allocate(mirror, err) < 0 || (options->reads_zeros && note_fresh(mirror, err) < 0)) {
		free_mirror(mirror);
		return err->code;
	}
	*out = mirror;
	return 0;
}

void mirror_point_here(const struct mirror *mirror, bool advance, struct mirror_point *out)
{
	*out = (struct mirror_point){.n_clusters = 0};
	if (mirror->map == NULL)
		return;
	if (advance)
		generation_advance(mirror->map);
	out->map_id = generation_id(mirror->map);
	out->generation = (uint16_t)(generation_current(mirror->map) - 1);
	out->n_clusters = mirror->n_clusters;
}

/* With all requests in flight waited for, and no new ones meanwhile: what was written until then is
 * in the generations up to that of the point. */
static int take_instant(struct mirror *mirror, bool advance, int64_t until_ms,
			struct mirror_point *out, struct error *err)
{
	volume_hold(mirror->volume);
	bool drained = volume_drain(mirror->volume, until_ms);

	if (drained)
		mirror_point_here(mirror, advance, out);
	if (drained && !mirror->armed)
		mirror->armed = volume_set_mirror(mirror->volume, mirror);
	volume_let_go(mirror->volume);
	if (!drained)
		return fail(err, ERR_SYSTEM, "%s: a write has been in flight for too long",
			    volume_name(mirror->volume));
	return mirror->armed ? 0
			     : fail(err, ERR_LOCKED, "%s: has a mirror already",
				    volume_name(mirror->volume));
}

/* What of the target is not known to be as the drive is. */
static void mark_needed(struct mirror *mirror)
{
	const struct mirror_point *known = &mirror->known;
	uint64_t n;

	for (uint64_t at = 0; at < known->n_clusters; at += n) {
		bool changed = generation_changed(mirror->map, known->generation, at, &n);
		n = least(n, known->n_clusters - at);
		if (changed)
			mirror_mark_whole(mirror, at, at + n);
	}
	mirror_mark_whole(mirror, known->n_clusters, mirror->n_clusters);
}

static bool is_known(const struct mirror *mirror, const struct mirror_point *known)
{
	return mirror->map != NULL && known->map_id == generation_id(mirror->map) &&
	       known->generation < generation_current(mirror->map) &&
	       known->n_clusters <= mirror->n_clusters &&
	       generation_is_sure(mirror->map, known->generation);
}

/* False: its threads have not ended by then. */
static bool stop(struct mirror *mirror, int64_t until_ms)
{
	int late = 0;

	atomic_store(&mirror->stopping, true);
	if (mirror->armed)
		volume_drop_mirror(mirror->volume);
	mirror->armed = false;
	pthread_mutex_lock(&mirror->lock);
	pthread_cond_broadcast(&mirror->changed);
	while (mirror->n_running > 0 && late == 0)
		late = clock_cond_wait(&mirror->changed, &mirror->lock, until_ms);
	bool ended = mirror->n_running == 0;
	pthread_mutex_unlock(&mirror->lock);
	return ended;
}

int mirror_begin(struct mirror **out, struct volume *volume, const struct mirror_options *options,
		 struct error *err)
{
	struct mirror *mirror = NULL;

	TRY(new_mirror(&mirror, volume, options, err));
	mirror->watch = options->watch;
	int code =
		take_instant(mirror, options->advance, clock_ms() + BEGIN_MS, &mirror->begun, err);
	if (code == 0 && is_known(mirror, &options->known))
		mirror->known = options->known;
	if (code == 0) {
		mark_needed(mirror);
		code = lanes_start(mirror, err);
	}
	if (code < 0) {
		stop(mirror, INT64_MAX);
		mirror->target = NULL; /* it stays the caller's, as does the watch */
		mirror->watch = NULL;
		mirror_end(mirror, UINT32_MAX);
		return code;
	}
	*out = mirror;
	return 0;
}

/* ---- while it runs ---- */

void mirror_set_rate(struct mirror *mirror, uint64_t bytes_per_s)
{
	atomic_store(&mirror->rate, bytes_per_s);
}

void mirror_set_hold(struct mirror *mirror, bool may_hold)
{
	atomic_store(&mirror->may_hold, may_hold);
}

void mirror_status(struct mirror *mirror, struct mirror_status *out)
{
	int64_t left = atomic_load(&mirror->left_bytes);
	uint64_t left_bytes = left > 0 ? (uint64_t)left : 0;

	*out = (struct mirror_status){
		.total_bytes = mirror->size_bytes,
		.left_bytes = least(left_bytes, mirror->size_bytes),
		.copied_bytes = atomic_load(&mirror->copied_bytes),
		.held_writes = atomic_load(&mirror->held_writes),
		.stalled = mirror_is_stalled(mirror),
		.diverging = atomic_load(&mirror->n_worse) >= 3,
	};
	pthread_mutex_lock(&mirror->lock);
	out->failed = atomic_load(&mirror->failed);
	out->err = mirror->err;
	pthread_mutex_unlock(&mirror->lock);
	out->in_sync =
		!out->failed && left_bytes <= MIRROR_SYNC_BYTES && mirror_is_over_once(mirror);
}

void mirror_known(struct mirror *mirror, struct mirror_point *out)
{
	pthread_mutex_lock(&mirror->lock);
	*out = mirror->known;
	pthread_mutex_unlock(&mirror->lock);
}

/* ---- what the target has ---- */

static uint64_t progress(const struct mirror *mirror)
{
	uint64_t least_of_all = mirror->n_clusters;

	for (unsigned i = 0; i < mirror->n_lanes; i++)
		least_of_all = least(least_of_all, atomic_load(&mirror->lanes[i].progress));
	return least_of_all;
}

static bool is_through(const struct mirror *mirror, const uint64_t passes[LANES_MAX])
{
	if (atomic_load(&mirror->left_bytes) == 0)
		return true;
	for (unsigned i = 0; i < mirror->n_lanes; i++) {
		if (atomic_load(&mirror->lanes[i].n_passes) < passes[i])
			return false;
	}
	return true;
}

static int fail_late(struct error *err)
{
	fail(err, ERR_SYSTEM, "the target did not get there in time");
	err->sys = ETIMEDOUT;
	return err->code;
}

/* Until the lanes have made so many passes, and then the target is flushed. Nothing that is known
 * is lost meanwhile, so the wait may be broken off. */
static int await_flush_locked(struct mirror *mirror, const uint64_t passes[LANES_MAX],
			      int64_t until_ms, struct error *err)
{
	uint64_t flush = 0;

	for (;;) {
		if (atomic_load(&mirror->failed)) {
			*err = mirror->err;
			return err->code;
		}
		if (atomic_exchange(&mirror->broken, false) || atomic_load(&mirror->stopping))
			return fail_late(err);
		if (flush == 0 && is_through(mirror, passes)) {
			flush = ++mirror->flushes_asked;
			pthread_cond_broadcast(&mirror->changed);
		}
		if (flush != 0 && mirror->flushes_done >= flush)
			return 0;
		if (clock_cond_wait(&mirror->changed, &mirror->lock, until_ms) != 0)
			return fail_late(err);
	}
}

int mirror_instant(struct mirror *mirror, bool advance, int64_t until_ms,
		   struct mirror_instant *out, struct error *err)
{
	bool first = !mirror_is_over_once(mirror);

	out->point = mirror->begun;
	if (first)
		out->point.n_clusters = progress(mirror);
	else
		TRY(take_instant(mirror, advance, until_ms, &out->point, err));
	for (unsigned i = 0; i < mirror->n_lanes; i++)
		out->passes[i] = first ? 0 : atomic_load(&mirror->lanes[i].n_passes) + 2;
	return 0;
}

int mirror_settle(struct mirror *mirror, const struct mirror_instant *instant, int64_t until_ms,
		  struct error *err)
{
	int code;

	pthread_mutex_lock(&mirror->lock);
	code = await_flush_locked(mirror, instant->passes, until_ms, err);
	/* Of a target that had all but some changes, a part that is newer is no better. */
	if (code == 0 && instant->point.n_clusters >= mirror->known.n_clusters)
		mirror->known = instant->point;
	pthread_mutex_unlock(&mirror->lock);
	return code;
}

void mirror_break(struct mirror *mirror)
{
	atomic_store(&mirror->broken, true);
	mirror_wake(mirror);
}

/* ---- the end ---- */

bool mirror_end(struct mirror *mirror, unsigned wait_ms)
{
	if (!stop(mirror, wait_ms == UINT32_MAX ? INT64_MAX : clock_ms() + wait_ms))
		return false;
	for (unsigned i = 0; i < mirror->n_lanes; i++) {
		if (mirror->lanes[i].started)
			pthread_join(mirror->lanes[i].thread, NULL);
	}
	drive_close(mirror->target);
	free_mirror(mirror);
	return true;
}
