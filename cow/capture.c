/*
 * The capture: the data that drives held at one instant, while they keep changing.
 *
 * States. Each cluster of each drive has a bit that says whether it is saved. All bits are 0 at the
 * instant; each becomes 1 once and never changes back. A cluster that is not saved holds the data
 * of the instant: everything here rests on this invariant. A third state, "being saved", is short:
 * it is kept in a list of claims, each on the stack of its owner, a guest request or the pass.
 *
 * Who saves. A guest request that will change a cluster looks at the cluster's bit without taking a
 * lock. If the bit is set, the request goes straight through. If not, it claims the cluster, reads
 * it into a room of the buffer, commits the room, and settles the claim, which sets the bit. Then
 * it writes. If another thread has claimed the cluster, the request waits until that claim is
 * settled, which takes one read. A request that may not wait does the same, provided there is room
 * in memory and the drive has the cluster cached: then no other thread has to be woken for it. The
 * pass claims unclaimed clusters, a few at a time, reads them at once into a chunk, and settles.
 * Claims are made, and bits set, with the lock held, so each cluster is claimed once, read once and
 * delivered once.
 *
 * Why no old data is lost. A bit is set after the old data has been read into a part of the buffer
 * that no other thread uses, and a request writes after it has seen the bit: the bit is set with
 * release and read with acquire. Two requests that change the same cluster at once both wait for
 * its bit; the order of their writes is undefined, as with any disk.
 *
 * Why the pass may rely on earlier answers of a drive about zeros. Clusters in a claim are not
 * saved when they are claimed, so they were never saved before, so by the invariant they have not
 * changed since the instant: any answer given after the instant still holds for them. Answers that
 * no longer hold concern clusters that are saved, and the pass skips those.
 *
 * The instant. The gates of all volumes (volume.c) hold new requests that change data; the capture
 * waits for requests in flight, advances all maps to a new generation, arms all volumes, and opens
 * the gates. So each request either ends before the instant or begins after it. If the reply to one
 * request caused a second, and the second is before the instant, so is the first: no captured write
 * depends on one that is missing. This holds across drives only because all gates are closed before
 * the first volume is armed, and opened after the last one.
 *
 * Failing. When old data cannot be read, or the buffer fails, the capture fails: it sets "failed"
 * and wakes all waiting threads, and from then on every cluster counts as saved. The guest does not
 * notice.
 *
 * Who waits for whom. A guest request waits for a claim of the pass or of another guest, that is
 * for the read of one cluster, and in the buffer as buffer.c describes. The pass never waits: it
 * skips claimed clusters, and does not begin a step without room for it. It has no threads of its
 * own: a thread of the writer that wants a chunk, when guests have left none, takes a step of the
 * pass. When nothing is left to pass, or there is no room, these threads wait, without a claim, for
 * clusters that are being saved and for chunks to be released. So the owner of a claim waits for a
 * drive or (FULL_WAIT) for the writer to empty the memory; the writer waits only when there is
 * nothing to take.
 *
 * Lock order: pass_lock, then lock, or a drive's own lock while it is asked for zeros. The locks of
 * the buffer and of volumes are taken with none of these held, and no lock is taken under them. No
 * lock is held while drives are read or written.
 */
#include "cow/capture_state.h"

#include "base/bits.h"
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define DRAIN_MS 5000u

static void free_captured(struct captured *captured)
{
	captured_forget(captured);
	free(captured->saved);
}

static void free_capture(struct capture *capture)
{
	for (uint32_t i = 0; capture->captured != NULL && i < capture->n_captured; i++)
		free_captured(&capture->captured[i]);
	sweep_free(capture->sweep);
	pthread_mutex_destroy(&capture->lock);
	pthread_mutex_destroy(&capture->pass_lock);
	pthread_cond_destroy(&capture->settled);
	free(capture->captured);
	free(capture->drives);
	free(capture->sets);
	free(capture);
}

static int prepare_volume(struct capture *capture, uint32_t i, struct volume *volume,
			  struct error *err)
{
	struct captured *captured = &capture->captured[i];
	struct drive *drive = volume_drive(volume);
	uint64_t n = clusters_of(drive_size(drive));

	*captured = (struct captured){
		.capture = capture,
		.volume = volume,
		.drive = drive,
		.number = i,
		.n_clusters = n,
		/* A page takes memory when its first bit is set. */
		.saved = calloc(bits_words(n), sizeof(*captured->saved)),
	};
	if (captured->saved == NULL)
		return fail_system(err, ENOMEM, "%s: a map of its clusters", volume_name(volume));
	capture->drives[i] = drive;
	capture->n_clusters += n;
	return 0;
}

static int new_capture(struct capture **out, struct volume *const *volumes, uint32_t n_volumes,
		       struct buffer *buffer, struct error *err)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	int code = 0;

	if (capture == NULL)
		return fail_system(err, ENOMEM, "a capture");
	capture->buffer = buffer;
	capture->n_captured = n_volumes;
	pthread_mutex_init(&capture->lock, NULL);
	pthread_mutex_init(&capture->pass_lock, NULL);
	pthread_cond_init(&capture->settled, NULL);
	capture->captured = calloc(n_volumes + 1, sizeof(*capture->captured));
	capture->drives = calloc(n_volumes + 1, sizeof(struct drive *));
	capture->sets = calloc(n_volumes + 1, sizeof(*capture->sets));
	if (capture->captured == NULL || capture->drives == NULL || capture->sets == NULL)
		code = fail_system(err, ENOMEM, "a capture");
	for (uint32_t i = 0; i < n_volumes && code == 0; i++)
		code = prepare_volume(capture, i, volumes[i], err);
	if (code == 0)
		code = sweep_new(&capture->sweep, capture->drives, n_volumes, CHUNK_CLUSTERS, err);
	if (code != 0) {
		free_capture(capture);
		return code;
	}
	*out = capture;
	return 0;
}

static uint64_t drain_ms(const struct capture_options *options)
{
	return options->drain_ms ? options->drain_ms : DRAIN_MS;
}

/* Whether or not only changes are wanted of a volume, and which. */
static int look_all(struct capture *capture, const struct capture_options *options,
		    struct error *err)
{
	capture->drain_ms = drain_ms(options);
	for (uint32_t i = 0; i < capture->n_captured; i++) {
		struct captured *captured = &capture->captured[i];

		if (options->since != NULL)
			captured->since = options->since[i];
		if (captured->since.some)
			TRY(captured_look(captured, err));
		else
			capture->todo_clusters += captured->n_clusters;
	}
	return 0;
}

static int claim_all(struct volume *const *volumes, uint32_t n_volumes, struct error *err)
{
	for (uint32_t i = 0; i < n_volumes; i++) {
		if (volume_claim(volumes[i]))
			continue;
		while (i-- > 0)
			volume_unclaim(volumes[i]);
		return fail(err, ERR_LOCKED, "a backup of these drives is running already");
	}
	return 0;
}

static void unclaim_all(struct volume *const *volumes, uint32_t n_volumes)
{
	for (uint32_t i = 0; i < n_volumes; i++)
		volume_unclaim(volumes[i]);
}

static int drain(struct volume *volume, int64_t until_ms, uint64_t drain_ms, struct error *err)
{
	return volume_drain(volume, until_ms) ? 0
					      : fail(err, ERR_SYSTEM,
						     "%s: a write has been in flight for %" PRIu64
						     " ms, so no snapshot can be taken",
						     volume_name(volume), drain_ms);
}

static void end_generation(struct volume *volume)
{
	if (volume_map(volume) != NULL)
		generation_advance(volume_map(volume));
}

/* The drive could not be flushed since the look through its map, and may have gone back to older
 * data anywhere. */
static bool is_doubtful(const struct captured *captured)
{
	return captured->since.some &&
	       !generation_is_sure(volume_map(captured->volume), captured->since.generation);
}

/* Gates are closed. */
static int arm_all(struct capture *capture, uint64_t drain_ms, struct error *err)
{
	int64_t until_ms = clock_ms() + (int64_t)drain_ms;

	for (uint32_t i = 0; i < capture->n_captured; i++)
		TRY(drain(capture->captured[i].volume, until_ms, drain_ms, err));
	for (uint32_t i = 0; i < capture->n_captured; i++) {
		struct captured *captured = &capture->captured[i];

		if (is_doubtful(captured))
			captured_want(captured, 0, captured->n_clusters);
		end_generation(captured->volume);
		volume_arm(captured->volume, captured);
	}
	return 0;
}

static int take_the_instant(struct capture *capture, struct error *err)
{
	int64_t start = clock_ns();

	for (uint32_t i = 0; i < capture->n_captured; i++)
		volume_hold(capture->captured[i].volume);
	int code = arm_all(capture, capture->drain_ms, err);
	/* Set before the gates open: until then no other thread reads them. */
	capture->started = code == 0;
	capture->n_clusters = capture->todo_clusters;
	capture->quiesce_ns = (uint64_t)(clock_ns() - start);
	for (uint32_t i = 0; i < capture->n_captured; i++)
		volume_let_go(capture->captured[i].volume);
	return code;
}

int capture_prepare(struct capture **out, struct volume *const *volumes, uint32_t n_volumes,
		    struct buffer *buffer, const struct capture_options *options, struct error *err)
{
	struct capture *capture = NULL;

	TRY(claim_all(volumes, n_volumes, err));
	if (new_capture(&capture, volumes, n_volumes, buffer, err) < 0) {
		unclaim_all(volumes, n_volumes);
		return err->code;
	}
	if (look_all(capture, options, err) < 0) {
		capture_end(capture);
		return err->code;
	}
	*out = capture;
	return 0;
}

int capture_start(struct capture *capture, struct error *err)
{
	TRY(take_the_instant(capture, err));
	for (uint32_t i = 0; i < capture->n_captured; i++)
		TRY(captured_settle(&capture->captured[i], err));
	sweep_restrict(capture->sweep, capture->sets);
	end_if_all_saved(capture); /* when all drives are empty, or nothing changed */
	return 0;
}

int capture_begin(struct capture **out, struct volume *const *volumes, uint32_t n_volumes,
		  struct buffer *buffer, const struct capture_options *options, struct error *err)
{
	struct capture *capture;

	TRY(capture_prepare(&capture, volumes, n_volumes, buffer, options, err));
	if (capture_start(capture, err) < 0) {
		capture_end(capture);
		return err->code;
	}
	*out = capture;
	return 0;
}

int capture_mark(struct volume *const *volumes, uint32_t n_volumes,
		 const struct capture_options *options, uint64_t *quiesce_ns, struct error *err)
{
	int64_t start = clock_ns(), until_ms = clock_ms() + (int64_t)drain_ms(options);
	int code = 0;

	TRY(claim_all(volumes, n_volumes, err));
	for (uint32_t i = 0; i < n_volumes; i++)
		volume_hold(volumes[i]);
	for (uint32_t i = 0; i < n_volumes && code == 0; i++)
		code = drain(volumes[i], until_ms, drain_ms(options), err);
	for (uint32_t i = 0; i < n_volumes && code == 0; i++)
		end_generation(volumes[i]);
	*quiesce_ns = (uint64_t)(clock_ns() - start);
	for (uint32_t i = 0; i < n_volumes; i++)
		volume_let_go(volumes[i]);
	unclaim_all(volumes, n_volumes);
	return code;
}

const struct cluster_set *capture_wanted(const struct capture *capture, uint32_t i)
{
	return capture->sets[i];
}

int capture_next(struct capture *capture, struct chunk **out, struct error *err)
{
	enum buffer_wait wait = BUFFER_WHOLE;
	int code;

	while ((code = buffer_next(capture->buffer, out, wait, err)) == 2) {
		int stepped = capture_step(capture, err);
		if (stepped == 0)
			wait = BUFFER_FOR_WORK;
		else
			wait = stepped == 2 ? BUFFER_FOR_CHANCES : BUFFER_WHOLE;
	}
	return code;
}

void capture_status(const struct capture *capture, struct capture_status *out)
{
	*out = (struct capture_status){
		.n_clusters = capture->n_clusters,
		.todo_clusters = capture->todo_clusters,
		.swept_clusters = capture->swept_clusters,
		.saved_clusters = capture->saved_clusters,
		.zero_clusters = capture->zero_clusters,
		.read_clusters = capture->read_clusters,
		.quiesce_ns = capture->quiesce_ns,
	};
	delays_sum_up(&capture->delays, &out->delays);
}

void capture_end(struct capture *capture)
{
	struct error err;

	if (capture == NULL)
		return;
	if (capture->started && capture->todo_clusters > 0) {
		fail(&err, ERR_SYSTEM, "the backup was ended before it was complete");
		capture_fail(capture, &err);
	}
	for (uint32_t i = 0; i < capture->n_captured; i++)
		volume_disarm(capture->captured[i].volume);
	for (uint32_t i = 0; i < capture->n_captured; i++)
		volume_unclaim(capture->captured[i].volume);
	free_capture(capture);
}
