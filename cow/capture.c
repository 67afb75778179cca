/*
 * The capture: what the drives held at one instant, while they go on changing.
 *
 * States. For each cluster of each drive a bit says whether it is saved. Bits are all 0 at the
 * instant, go to 1 once, and never back. A cluster that is not saved holds what it held at the
 * instant: that is the invariant everything here rests on. A third state, "being saved", is short:
 * a list of claims has it, each on the stack of its owner, which is a guest's request or the pass.
 *
 * Who saves. A guest's request that will change a cluster looks at its bit, without a lock. If it
 * is set the request goes straight through. If not, it claims the cluster, reads it into a room of
 * the buffer, commits the room, and settles the claim: sets the bit. Then it writes. If someone
 * else has claimed the cluster it waits until that claim is settled, which takes that one read. A
 * request that may not wait does the same if there is room in memory and the drive has the cluster
 * at hand: then it needs no other thread, and no processor that such a thread would take. The
 * pass claims what nobody has claimed, in small pieces, reads them in one go into a chunk, and
 * settles. A claim is made, and a bit set, with the lock held; so each cluster is claimed once,
 * read once, delivered once.
 *
 * Why no old data is lost. A bit is set after the old data has been read into memory of the buffer
 * that nobody else uses, and a request writes after it has seen the bit: set with release, seen
 * with acquire. Two requests that change the same cluster at once both wait for its bit; what they
 * do to each other is their own affair, as with any disk.
 *
 * Why the pass may rely on what the drive said about zeros some time ago. What a claim covers is
 * not saved when it is claimed, so it was never saved before, so by the invariant it has not
 * changed since the instant: the answer was true, whenever after the instant it was given. An
 * answer that is no longer true concerns clusters that are saved, and these are skipped.
 *
 * The instant. New requests that change something are held at the gates of all volumes (volume.c),
 * those in flight are waited for, all maps get a new generation, all volumes are armed, all gates
 * open. A request is either over before the instant or begins after it. If a reply to one caused
 * another one, and the other one is before the instant, so is the first: whatever depends on
 * anything is captured with it. It follows for any number of drives only because all gates are
 * closed before the first volume is armed, and opened after the last one.
 *
 * Failing. When old data cannot be read or the buffer fails, the capture fails: "failed" is set,
 * all who wait are woken, and from then on everything counts as saved. The guest does not notice.
 *
 * Who waits for whom. A guest waits for a claim of the pass or of another guest, for one cluster's
 * read, and in the buffer according to buffer.c. The pass waits for nobody: it goes around what
 * others have claimed, and does not begin a step without room for it. It has no threads of its own:
 * the writer's take a step of it each time they want a chunk and no guest has left one. When there
 * is no more to pass, or no room, they wait for what is being saved and for what is given back,
 * with no claim. So whoever holds a claim waits for a drive, or (FULL_WAIT) for the writer to take
 * what fills the memory; the writer waits only when nothing is there to be taken.
 *
 * Lock order: pass_lock, then lock, or a drive's own while it is asked for zeros. The locks of the
 * buffer and of volumes are taken with none of these held, and nothing is taken under them. While
 * drives are read or written no lock is held.
 */
#include "cow/capture_state.h"
#include "cow/volume.h"

#include "base/bits.h"
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define DRAIN_MS 5000u

static void free_capture(struct capture *capture)
{
	for (uint32_t i = 0; capture->captured && i < capture->n_captured; i++)
		free(capture->captured[i].saved);
	sweep_free(capture->sweep);
	pthread_mutex_destroy(&capture->lock);
	pthread_mutex_destroy(&capture->pass_lock);
	pthread_cond_destroy(&capture->settled);
	free(capture->captured);
	free(capture->drives);
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
		/* Pages of it take memory when the first bit in them is set. */
		.saved = calloc(bits_words(n), sizeof *captured->saved),
	};
	if (!captured->saved)
		return fail_system(err, ENOMEM, "%s: a map of its clusters", volume_name(volume));
	capture->drives[i] = drive;
	capture->n_clusters += n;
	return 0;
}

static int new_capture(struct capture **out, struct volume *const *volumes, uint32_t n_volumes,
		       struct buffer *buffer, struct error *err)
{
	struct capture *capture = calloc(1, sizeof *capture);
	int rc = 0;

	if (!capture)
		return fail_system(err, ENOMEM, "a capture");
	capture->buffer = buffer;
	capture->n_captured = n_volumes;
	pthread_mutex_init(&capture->lock, NULL);
	pthread_mutex_init(&capture->pass_lock, NULL);
	pthread_cond_init(&capture->settled, NULL);
	capture->captured = calloc(n_volumes + 1, sizeof *capture->captured);
	capture->drives = calloc(n_volumes + 1, sizeof(struct drive *));
	if (!capture->captured || !capture->drives)
		rc = fail_system(err, ENOMEM, "a capture");
	for (uint32_t i = 0; i < n_volumes && rc == 0; i++)
		rc = prepare_volume(capture, i, volumes[i], err);
	if (rc == 0)
		rc = sweep_new(&capture->sweep, capture->drives, n_volumes, CHUNK_CLUSTERS, err);
	if (rc != 0) {
		free_capture(capture);
		return rc;
	}
	capture->todo_clusters = capture->n_clusters;
	*out = capture;
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

/* Gates are closed. */
static int arm_all(struct capture *capture, uint64_t drain_ms, struct error *err)
{
	int64_t until_ms = clock_ms() + (int64_t)drain_ms;

	for (uint32_t i = 0; i < capture->n_captured; i++) {
		struct volume *volume = capture->captured[i].volume;
		if (!volume_drain(volume, until_ms))
			return fail(err, ERR_SYSTEM,
				    "%s: a write has been in flight for %" PRIu64
				    " ms, so there is no quiet instant",
				    volume_name(volume), drain_ms);
	}
	for (uint32_t i = 0; i < capture->n_captured; i++) {
		struct volume *volume = capture->captured[i].volume;
		if (volume_map(volume))
			generation_advance(volume_map(volume));
		volume_arm(volume, &capture->captured[i]);
	}
	return 0;
}

static int take_the_instant(struct capture *capture, uint64_t drain_ms, struct error *err)
{
	int64_t start = clock_ns();

	for (uint32_t i = 0; i < capture->n_captured; i++)
		volume_hold(capture->captured[i].volume);
	int rc = arm_all(capture, drain_ms, err);
	/* Before the gates open: nobody else looks at it by then. */
	capture->quiesce_ns = (uint64_t)(clock_ns() - start);
	for (uint32_t i = 0; i < capture->n_captured; i++)
		volume_let_go(capture->captured[i].volume);
	return rc;
}

int capture_begin(struct capture **out, struct volume *const *volumes, uint32_t n_volumes,
		  struct buffer *buffer, const struct capture_options *options, struct error *err)
{
	struct capture *capture = NULL;
	int rc = claim_all(volumes, n_volumes, err);

	if (rc != 0)
		return rc;
	rc = new_capture(&capture, volumes, n_volumes, buffer, err);
	if (rc == 0) {
		rc = take_the_instant(capture, options->drain_ms ? options->drain_ms : DRAIN_MS,
				      err);
		if (rc != 0)
			free_capture(capture);
	}
	if (rc != 0) {
		unclaim_all(volumes, n_volumes);
		return rc;
	}
	end_if_all_saved(capture); /* of drives without bytes */
	*out = capture;
	return 0;
}

int capture_next(struct capture *capture, struct chunk **out, struct error *err)
{
	enum buffer_wait wait = BUFFER_WHOLE;
	int rc;

	while ((rc = buffer_next(capture->buffer, out, wait, err)) == 2) {
		int stepped = capture_step(capture, err);
		if (stepped == 0)
			wait = BUFFER_FOR_WORK;
		else
			wait = stepped == 2 ? BUFFER_FOR_CHANCES : BUFFER_WHOLE;
	}
	return rc;
}

bool capture_guests_at_work(const struct capture *capture)
{
	bool at_work = false;

	for (uint32_t i = 0; i < capture->n_captured && !at_work; i++)
		at_work = volume_is_at_work(capture->captured[i].volume);
	return at_work;
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

	if (!capture)
		return;
	if (capture->todo_clusters > 0) {
		fail(&err, ERR_SYSTEM, "the backup was ended before it was complete");
		capture_fail(capture, &err);
	}
	for (uint32_t i = 0; i < capture->n_captured; i++)
		volume_disarm(capture->captured[i].volume);
	for (uint32_t i = 0; i < capture->n_captured; i++)
		volume_unclaim(capture->captured[i].volume);
	free_capture(capture);
}
