/*
 * QEMU's jobs push the drives to us. The order of events:
 *
 *   1. open cleans up after dead runs, whose jobs change the names of nodes
 *   2. the guard starts, which cleans up from here on if this program is killed; then the socket
 *   3. QEMU gets a node for each drive, and connects
 *   4. freeze; one transaction, which is the instant; thaw
 *   5. a thread looks after the jobs until all have ended
 *   6. it removes jobs and nodes, then the socket, and ends the guard
 *
 * Where QEMU can (jobs_options, breaks), what it cannot save for the snapshot costs the snapshot
 * and not the guest's write. A job that ended well then proves nothing, so jobs that have copied
 * all wait until their snapshots were seen to be whole.
 *
 * The archive is finished after 6, without QEMU: writing it to disk does not concern the guest.
 *
 * While jobs run, their writes must be answered, and they must be slowed down when the output
 * cannot keep up. Cancelling a job that waits for an answer would stop all of QEMU, so the exports
 * answer until the end, even when the data is no longer kept.
 */
#include "machine/qemu/push_look.h"
#include "machine/qemu/push_run.h"

#include "base/json.h"
#include "machine/kinds.h"
#include "machine/qemu/instant.h"
#include "machine/qemu/track.h"
#include "machine/qemu/track_since.h"

#include <stdio.h>
#include <stdlib.h>

/* Of drives that were told to QEMU to copy in part only that part comes. */
static void expect(struct machine *machine)
{
	for (unsigned i = 0; i < machine->qemu.inventory.n_drives; i++) {
		const struct cluster_set *set = track_expected(machine->track, i);

		if (set == NULL)
			continue;
		receiver_expect(machine->receiver, i, set);
		machine->qemu.drives[i].data_bytes = (set->n_clusters + 1) * CLUSTER_SIZE;
	}
}

static int try_begin(struct machine *machine, const struct machine_since *since, struct error *err)
{
	struct qemu *qemu = &machine->qemu;
	struct instant instant = {
		.begin = push_start,
		.context = machine,
		.options = qemu->options,
	};

	TRY(push_connect(machine, err));
	instant.guard = machine->guard;
	TRY(track_prepare(machine->track, since, machine->id, err));
	machine->jobs.parts = track_parts(machine->track);
	TRY(instant_take(&instant, &qemu->instant, err));
	TRY(track_ended(machine->track, err));
	expect(machine);
	return push_go(machine, err);
}

static int push_begin(struct machine *machine, const struct machine_since *since, struct error *err)
{
	qemu_stir(push_interrupt, machine);
	if (try_begin(machine, since, err) == 0)
		return 0;
	qemu_advise(&machine->qemu, err);
	/* Jobs may have started nevertheless; their writes must not wait now. */
	buffer_fail(machine->buffer, err);
	push_undo(machine);
	qemu_warn(&machine->qemu);
	return err->code;
}

/* ---- the interface ---- */

static int next_chunk(void *context, struct chunk_piece *piece, struct error *err)
{
	struct machine *machine = context;
	int got = buffer_next(machine->buffer, &piece->chunk, BUFFER_FOR_WORK, err);
	uint64_t n;

	if (got != 1)
		return got;
	n = piece->chunk->n_clusters;
	for (uint32_t i = 0; i < piece->chunk->n_zeros; i++)
		n += piece->chunk->zeros[i].n_clusters;
	machine->taken_bytes += n * CLUSTER_SIZE;
	piece->loan = piece->chunk;
	piece->beside_guests = true;
	return 1;
}

static void give_back(void *context, void *loan)
{
	struct machine *machine = context;

	buffer_release(machine->buffer, loan);
}

static int push_chunks(struct machine *machine, uint32_t piece_clusters,
		       const struct chunk_source **out, struct error *err)
{
	(void)piece_clusters; /* whole chunks are small enough */
	(void)err;
	machine->chunks = (struct chunk_source){
		.context = machine,
		.piece_clusters = CHUNK_CLUSTERS,
		.next = next_chunk,
		.give_back = give_back,
	};
	*out = &machine->chunks;
	return 0;
}

static void push_end(struct machine *machine)
{
	struct error err;

	if (machine == NULL)
		return;
	if (machine->running) {
		fail(&err, ERR_SYSTEM, "the backup has been given up");
		buffer_fail(machine->buffer, &err);
		push_join(machine);
	}
	track_close(machine->track);
	qemu_close(&machine->qemu);
	push_free(machine);
	free(machine);
}

static int push_open(struct machine **out, const struct machine_options *options,
		     const struct watcher *watcher, struct error *err)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (machine == NULL)
		return fail_memory(err);
	if (qemu_open(&machine->qemu, options, watcher, err) == 0 &&
	    (!options->track || track_open(&machine->track, &machine->qemu, err) == 0) &&
	    push_make(machine, err) == 0) {
		*out = machine;
		return 0;
	}
	push_end(machine);
	return err->code;
}

static void push_describe(const struct machine *machine, struct machine_description *out)
{
	qemu_describe(&machine->qemu, out);
}

static int push_finish(struct machine *machine, struct error *err)
{
	(void)err; /* the chunks end only when all jobs have ended well */
	push_join(machine);
	return 0;
}

/* The buffer's error came first, even if the output has failed since. A full buffer must not give
 * the exit code for a full output. */
static int push_explain(struct machine *machine, struct error *err)
{
	bool was_first = !buffer_has_failed(machine->buffer);

	if (was_first) {
		buffer_fail(machine->buffer, err);
	} else if (buffer_error(machine->buffer, err) == ERR_FULL) {
		error_append(err, "; --buffer, --spill or --on-full help");
		err->code = ERR_SYSTEM;
	}
	push_join(machine);
	/* Its jobs end before it does, which then is the reason to tell. */
	if (!was_first && machine->gone && err->code == ERR_SYSTEM)
		fail(err, ERR_SYSTEM, "QEMU has ended while its drives were saved");
	return err->code;
}

static const char *push_token(const struct machine *machine, uint32_t i)
{
	return track_token(machine->track, i);
}

static int push_changes(struct machine *machine, uint32_t i, struct machine_changes *out,
			struct error *err)
{
	return track_changes(machine->track, i, out, err);
}

static int push_changes_now(struct machine *machine, uint32_t i, const struct machine_since *since,
			    struct machine_changes *out, struct error *err)
{
	return track_changes_now(machine->track, i, since, out, err);
}

static int look(struct machine *machine, uint32_t i, const struct cluster_set *set,
		const struct machine_taker *taker, struct error *err)
{
	return push_look(&machine->qemu, i, set, taker, err);
}

static int push_distrust(struct machine *machine, uint32_t i, struct error *err)
{
	(void)err;
	track_distrust(machine->track, i);
	return 0;
}

static int push_commit(struct machine *machine, const struct machine_archive *archive,
		       struct error *err)
{
	return track_commit(machine->track, archive, err);
}

static void push_outcome(struct machine *machine, struct json_t *capture)
{
	const struct buffer_counts *counts = buffer_counts(machine->buffer);

	qemu_outcome(&machine->qemu, capture);
	json_put_number(capture, "received_clusters", machine->counts.data_clusters);
	json_put_number(capture, "repeated_clusters", machine->counts.again_clusters);
	json_put_number(capture, "held_requests", machine->counts.held_requests);
	json_put_number(capture, "spilled_clusters", counts->spilled_clusters);
	json_put_number(capture, "buffer_peak_bytes", counts->peak_bytes);
}

const struct machine_kind machine_push = {
	.open = push_open,
	.describe = push_describe,
	.token = push_token,
	.begin = push_begin,
	.changes = push_changes,
	.changes_now = push_changes_now,
	.look = look,
	.distrust = push_distrust,
	.rebuilds = true,
	.chunks = push_chunks,
	.finish = push_finish,
	.explain = push_explain,
	.commit = push_commit,
	.outcome = push_outcome,
	.end = push_end,
};
