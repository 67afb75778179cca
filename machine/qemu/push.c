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
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "cow/chunks.h"
#include "machine/guard.h"
#include "machine/kinds.h"
#include "machine/qemu/instant.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qemu.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/receive.h"
#include "machine/qemu/snapshot.h"
#include "machine/qemu/speed.h"
#include "machine/qemu/track.h"
#include "machine/rundir.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_MS	    20
#define LOOK_MS	    500 /* between looks without an event */
#define RECONNECT_S 10	/* QEMU waits for the guard if we are killed: it needs one or two */

struct machine {
	struct qemu qemu;
	struct track *track; /* NULL: nothing is tracked */
	struct jobs_options jobs;
	struct buffer *buffer;
	struct chunk_source chunks;
	_Atomic uint64_t taken_bytes; /* out of the buffer */
	struct receiver_counts counts;
	char id[RUN_ID_SIZE];
	char *path; /* of the socket */
	struct receiver *receiver;
	struct guard *guard;
	bool listening;
	bool running; /* the thread is */
	pthread_t thread;
	bool gone; /* QEMU has ended; known when the thread has */

	struct speed speed; /* of the jobs; only the thread uses it */
};

/* ---- 2 and 3: exports and nodes ---- */

static int new_receiver(struct machine *machine, struct error *err)
{
	const struct inventory *inventory = &machine->qemu.inventory;
	struct receiver_drive *drives = calloc(inventory->n_drives, sizeof(*drives));
	int code;

	if (drives == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		drives[i].size_bytes = inventory->drives[i].size_bytes;
		drives[i].may_leave_out = jobs_leave_out(&machine->jobs, &inventory->drives[i]);
	}
	code = receiver_new(&machine->receiver, drives, inventory->n_drives, machine->buffer, err);
	free(drives);
	return code;
}

static int serve(struct machine *machine, struct error *err)
{
	gid_t group;

	TRY(new_receiver(machine, err));
	TRY(rundir_make(machine->path, err));
	machine->listening = true;
	TRY(receiver_listen(machine->receiver, machine->path, err));
	return qmp_group(machine->qemu.qmp, &group) ? rundir_open(machine->path, group, err) : 0;
}

static int add_nodes(struct machine *machine, struct error *err)
{
	struct error ignored;

	jobs_ask(machine->qemu.qmp, &machine->jobs);
	for (unsigned i = 0; i < machine->qemu.inventory.n_drives; i++) {
		char name[NODE_NAME_SIZE], export[12];

		snprintf(export, sizeof(export), "%u", i);
		TRY(qmp_post(machine->qemu.qmp, err, "blockdev-add",
			     "{s:s, s:s, s:s, s:i, s:{s:s, s:s}}", "driver", "nbd", "node-name",
			     node_name(name, machine->id, i), "export", export, "reconnect-delay",
			     RECONNECT_S, "server", "type", "unix", "path", machine->path));
	}
	TRY(qmp_settle(machine->qemu.qmp, NULL, err));
	/* Some QEMUs leave out that driver. */
	if (machine->jobs.breaks &&
	    probes_add(machine->qemu.qmp, machine->id, &machine->qemu.inventory, &ignored) < 0)
		machine->jobs.breaks = false;
	return 0;
}

/* ---- 4: the instant ---- */

static int start_jobs(void *context, struct error *err)
{
	struct machine *machine = context;
	int64_t begun = clock_ms();
	int code;

	guard_tell(machine->guard, GUARD_BEGINS, -1);
	code = jobs_start(machine->qemu.qmp, machine->id, &machine->qemu.inventory, &machine->jobs,
			  err);
	machine->qemu.instant.instant_ms = (uint64_t)(clock_ms() - begun);
	return code;
}

/* ---- 5: while the jobs run ---- */

/* 1: all have ended well, 0: not yet. */
static int look(struct machine *machine, struct error *err)
{
	const struct inventory *inventory = &machine->qemu.inventory;
	struct qmp *qmp = machine->qemu.qmp;
	struct jobs_state state;

	TRY(jobs_check(qmp, machine->id, inventory, &state, err));
	if (state.n_pending == inventory->n_drives) {
		TRY(probes_check(qmp, machine->id, inventory, err));
		TRY(jobs_finalize(qmp, machine->id, err));
		TRY(jobs_check(qmp, machine->id, inventory, &state, err));
	}
	return state.n_concluded == inventory->n_drives;
}

/* Asks QEMU only after an event, and now and then: QEMU answers in a thread that may also serve the
 * guest's requests. */
static void run_jobs(struct machine *machine)
{
	struct error err = {0};
	int64_t next_look = 0, rested = 0, now;
	int state = 0;

	while (state == 0 && !buffer_has_failed(machine->buffer)) {
		state = guard_check_going(machine->guard, &err);
		now = clock_ms();
		if (state == 0 && now >= next_look && now >= rested) {
			state = look(machine, &err);
			next_look = clock_ms() + LOOK_MS;
			rested = speed_rest(now);
		}
		if (state != 0)
			break;
		speed_set(&machine->speed, machine->qemu.qmp, machine->id,
			  machine->qemu.inventory.n_drives, atomic_load(&machine->taken_bytes));
		if (qmp_wait(machine->qemu.qmp, STEP_MS))
			next_look = 0;
	}
	if (state == 1)
		state = receiver_finish(machine->receiver, &err);
	if (state < 0)
		buffer_fail(machine->buffer, &err);
}

/* ---- 6: the end ---- */

static int remove_all(void *context, struct error *err)
{
	struct machine *machine = context;

	TRY(jobs_end(machine->qemu.qmp, machine->id, err));
	return nodes_remove(machine->qemu.qmp, machine->id, err);
}

/* Removes everything that was made, in reverse order. */
static void undo(struct machine *machine)
{
	if (machine->guard != NULL)
		machine->gone = !qemu_clear(&machine->qemu, remove_all, machine);
	if (machine->receiver != NULL)
		machine->counts = receiver_counts(machine->receiver);
	receiver_free(machine->receiver);
	machine->receiver = NULL;
	if (machine->listening)
		rundir_remove(machine->path);
	guard_end(machine->guard, machine->qemu.remains[0] == '\0');
	machine->guard = NULL;
	qemu_calm();
}

static void *look_after(void *context)
{
	struct machine *machine = context;

	run_jobs(machine);
	undo(machine);
	return NULL;
}

static void interrupt(void *context)
{
	struct machine *machine = context;
	struct error err;

	fail(&err, ERR_SYSTEM, "interrupted");
	buffer_fail(machine->buffer, &err);
}

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
		.begin = start_jobs,
		.context = machine,
		.options = qemu->options,
	};
	int sys;

	TRY(guard_start(&machine->guard, "qemu", qemu->options, machine->id, err));
	TRY(serve(machine, err));
	TRY(add_nodes(machine, err));
	instant.guard = machine->guard;
	TRY(track_prepare(machine->track, since, machine->id, err));
	machine->jobs.parts = track_parts(machine->track);
	TRY(instant_take(&instant, &qemu->instant, err));
	TRY(track_ended(machine->track, err));
	expect(machine);
	speed_begin(&machine->speed, machine->buffer);
	sys = pthread_create(&machine->thread, NULL, look_after, machine);
	if (sys != 0)
		return fail_start(err, sys, "starting a thread");
	machine->running = true;
	return 0;
}

static int push_begin(struct machine *machine, const struct machine_since *since, struct error *err)
{
	qemu_stir(interrupt, machine);
	if (try_begin(machine, since, err) == 0)
		return 0;
	qemu_advise(&machine->qemu, err);
	/* Jobs may have started nevertheless; their writes must not wait now. */
	buffer_fail(machine->buffer, err);
	undo(machine);
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

static int make_buffer(struct machine *machine, struct error *err)
{
	const struct machine_options *options = machine->qemu.options;
	const struct buffer_options how = {
		.n_chunks = (uint32_t)(options->buffer / CHUNK_SIZE),
		.spill_bytes = options->spill,
		.spill_dir = options->spill_dir == NULL ? "/var/tmp" : options->spill_dir,
		.when_full = options->on_full == FULL_CHOICE_WAIT ? FULL_WAIT : FULL_FAIL,
	};

	return buffer_new(&machine->buffer, &how, err);
}

/* Waits for the thread, which ends soon once the buffer has failed. */
static void join(struct machine *machine)
{
	if (machine->running)
		pthread_join(machine->thread, NULL);
	machine->running = false;
	qemu_warn(&machine->qemu);
}

static void push_end(struct machine *machine)
{
	struct error err;

	if (machine == NULL)
		return;
	if (machine->running) {
		fail(&err, ERR_SYSTEM, "the backup has been given up");
		buffer_fail(machine->buffer, &err);
		join(machine);
	}
	track_close(machine->track);
	qemu_close(&machine->qemu);
	buffer_free(machine->buffer);
	free(machine->path);
	free(machine);
}

static int push_open(struct machine **out, const struct machine_options *options,
		     const struct watcher *watcher, struct error *err)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (machine == NULL)
		return fail_memory(err);
	machine->jobs.copies = true;
	machine->jobs.full = options->sync_mode == SYNC_FULL;
	run_id_make(machine->id);
	machine->path = rundir_path(machine->id);
	if (machine->path == NULL)
		fail_memory(err);
	else if (qemu_open(&machine->qemu, options, watcher, err) == 0 &&
		 (!options->track || track_open(&machine->track, &machine->qemu, err) == 0) &&
		 make_buffer(machine, err) == 0) {
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
	join(machine);
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
	join(machine);
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
	.chunks = push_chunks,
	.finish = push_finish,
	.explain = push_explain,
	.commit = push_commit,
	.outcome = push_outcome,
	.end = push_end,
};
