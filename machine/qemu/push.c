/*
 * The order of things, and what is left by whom if this program is killed in between:
 *
 *   1. before all this: cleaning up after dead runs, as their jobs change the names of nodes
 *   2. the guard, which from here on cleans up, and the socket
 *   3. a node for each drive: QEMU connects
 *   4. freeze, transaction: the instant, thaw
 *   5. the thread below, until all jobs have ended
 *   6. jobs and nodes are removed, then socket and guard
 *
 * The archive is finished after 6, without QEMU: whether it gets on disk is no business of the
 * guest's.
 *
 * While jobs run, what they send must be answered, and they must be told to be slower when the
 * output cannot follow. Cancelling a job that waits for an answer would stop all of QEMU, so the
 * exports answer until the end, also when nothing is kept any more.
 */
#include "machine/qemu/push.h"

#include "base/clock.h"
#include "machine/guard.h"
#include "machine/qemu/instant.h"
#include "base/json.h"
#include "machine/rundir.h"
#include "cli/memory.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/qmp.h"
#include "cli/signals.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS 20
#define LOOK_MS 500 /* when no event says that there is something to see */
#define RECONNECT_S                                                                               \
	10	       /* how long QEMU waits for us if we are killed: the guard needs one or two \
			*/
#define FREE_FILL 250u /* thousandths of the buffer: below, jobs run as fast as they can */
#define SLOW_FILL 750u /* and above hardly at all */
#define SLOWEST	  65536u /* bytes a second */

struct push {
	struct qmp *qmp; /* borrowed, or own_qmp */
	struct qmp *own_qmp;
	const struct inventory *inventory;
	struct buffer *buffer;
	const struct machine_options *options;
	const _Atomic uint64_t *covered_bytes;
	struct push_outcome *outcome;
	char id[RUN_ID_SIZE];
	char *path; /* owned: of the socket */
	struct receiver *receiver;
	struct guard *guard;
	bool listening;
	bool running; /* the thread is */
	pthread_t thread;

	/* Of the thread alone: how fast the output is. */
	int64_t measured_ms;
	uint64_t measured_bytes;
	double out_rate; /* bytes a second */
	uint64_t speed;	 /* that the jobs were told; 0: no limit */
};

/* ---- 2 and 3: exports and nodes ---- */

/* Whether leaving out what was never written loses nothing: on a qcow2 that stands on no other
 * image such clusters are zeros. Of other formats and of filters it is not known. */
static bool may_leave_out(const struct inventory_drive *drive)
{
	return drive->format != NULL && strcmp(drive->format, "qcow2") == 0 && !drive->has_backing;
}

static int serve(struct push *push, struct error *err)
{
	unsigned n = push->inventory->n_drives;
	struct receiver_drive *drives = memory_new(n, sizeof(*drives));
	int result;

	for (unsigned i = 0; i < n; i++) {
		const struct inventory_drive *drive = &push->inventory->drives[i];

		drives[i].size_bytes = drive->size_bytes;
		drives[i].may_leave_out =
			push->options->sync_mode != SYNC_FULL && may_leave_out(drive);
	}
	result = receiver_new(&push->receiver, drives, n, push->buffer, err);
	free(drives);
	if (result == 0)
		result = rundir_make(push->path, err);
	if (result == 0) {
		push->listening = true;
		result = receiver_listen(push->receiver, push->path, err);
	}
	return result == 0 ? rundir_open(push->path, push->qmp, err) : result;
}

static int add_node(struct push *push, unsigned drive, struct error *err)
{
	struct json_t *arguments = json_new(), *server;
	char name[NODE_NAME_SIZE], export[12];

	snprintf(export, sizeof(export), "%u", drive);
	json_put_text(arguments, "driver", "nbd");
	json_put_text(arguments, "node-name", node_name(name, push->id, drive));
	json_put_text(arguments, "export", export);
	json_put_number(arguments, "reconnect-delay", RECONNECT_S);
	server = json_put_object(arguments, "server");
	json_put_text(server, "type", "unix");
	json_put_text(server, "path", push->path);
	return qmp_execute(push->qmp, "blockdev-add", arguments, NULL, err);
}

static int add_nodes(struct push *push, struct error *err)
{
	for (unsigned i = 0; i < push->inventory->n_drives; i++) {
		if (add_node(push, i, err) < 0)
			return err->code;
	}
	return 0;
}

/* ---- 4: the instant ---- */

/* One request of the job's own pass at a time leaves room for those that a guest waits for. An
 * option that QEMU may do without. */
static bool can_limit_workers(struct qmp *qmp)
{
	struct json_t *schema;
	struct error ignored;
	char *text;
	bool result;

	if (qmp_execute(qmp, "query-qmp-schema", NULL, &schema, &ignored) < 0)
		return false;
	text = json_line(schema);
	result = text != NULL && strstr(text, "\"max-workers\"") != NULL;
	free(text);
	json_free(schema);
	return result;
}

static void put_job(struct push *push, struct json_t *actions, unsigned drive, bool limit)
{
	const struct inventory_drive *from = &push->inventory->drives[drive];
	bool top = push->options->sync_mode != SYNC_FULL && may_leave_out(from);
	struct json_t *action = json_add_object(actions), *data;
	char name[NODE_NAME_SIZE];

	node_name(name, push->id, drive);
	json_put_text(action, "type", "blockdev-backup");
	data = json_put_object(action, "data");
	json_put_text(data, "device", from->node);
	json_put_text(data, "target", name);
	json_put_text(data, "job-id", name);
	json_put_text(data, "sync", top ? "top" : "full");
	json_put_bool(data, "auto-dismiss", false);
	if (limit)
		json_put_number(json_put_object(data, "x-perf"), "max-workers", 1);
}

static int start_jobs(void *context, struct error *err)
{
	struct push *push = context;
	bool limit = can_limit_workers(push->qmp);
	struct json_t *arguments = json_new(), *actions;

	json_put_text(json_put_object(arguments, "properties"), "completion-mode", "grouped");
	actions = json_put_array(arguments, "actions");
	for (unsigned i = 0; i < push->inventory->n_drives; i++)
		put_job(push, actions, i, limit);
	return instant_transaction(push->qmp, arguments, &push->outcome->instant, err);
}

/* ---- 5: while the jobs run ---- */

static void measure(struct push *push)
{
	int64_t now = clock_ms();
	uint64_t bytes = atomic_load(push->covered_bytes);
	double seconds = (double)(now - push->measured_ms) / 1000;

	if (seconds < 0.1)
		return;
	push->out_rate += ((double)(bytes - push->measured_bytes) / seconds - push->out_rate) / 4;
	push->measured_ms = now;
	push->measured_bytes = bytes;
}

/* As fast as it can while there is room, then less and less of what the output takes. */
static uint64_t choose_speed(const struct push *push)
{
	uint32_t fill = buffer_fill(push->buffer);
	double part = (double)(SLOW_FILL - fill) / (SLOW_FILL - FREE_FILL);

	if (fill < FREE_FILL)
		return 0;
	if (fill >= SLOW_FILL || push->out_rate * part < SLOWEST)
		return SLOWEST;
	return (uint64_t)(push->out_rate * part);
}

/* A job that has just ended cannot be told, and need not. */
static void set_speed(struct push *push)
{
	uint64_t speed = choose_speed(push), old = push->speed;
	struct error ignored;

	if (speed == old || (old != 0 && speed > old - old / 8 && speed < old + old / 8))
		return;
	push->speed = speed;
	for (unsigned i = 0; i < push->inventory->n_drives && qmp_works(push->qmp); i++) {
		struct json_t *arguments = json_new();
		char name[NODE_NAME_SIZE];

		json_put_text(arguments, "device", node_name(name, push->id, i));
		json_put_number(arguments, "speed",
				speed == 0 ? 0 : speed / push->inventory->n_drives + 1);
		qmp_execute(push->qmp, "block-job-set-speed", arguments, NULL, &ignored);
	}
}

/* 1: all have ended well, 0: not yet. */
static int look(struct push *push, struct error *err)
{
	struct jobs_state state;

	if (signals_noted() != 0)
		return fail(err, ERR_SYSTEM, "interrupted");
	if (jobs_check(push->qmp, push->id, push->inventory, &state, err) < 0)
		return err->code;
	return state.n_concluded == push->inventory->n_drives;
}

/* QEMU is asked only when it has said that something happened, and now and then: it answers in the
 * thread that may also do the guest's requests. */
static void run_jobs(struct push *push)
{
	struct error err = {0};
	int64_t next_look = 0;
	int state = 0;

	while (state == 0 && !buffer_has_failed(push->buffer)) {
		if (clock_ms() >= next_look || signals_noted() != 0) {
			state = look(push, &err);
			next_look = clock_ms() + LOOK_MS;
		}
		measure(push);
		if (state != 0)
			break;
		set_speed(push);
		if (qmp_wait(push->qmp, STEP_MS))
			next_look = 0;
	}
	if (state == 1)
		state = receiver_finish(push->receiver, &err);
	if (state < 0)
		buffer_fail(push->buffer, &err);
}

/* ---- 6: the end ---- */

/* A connection that broke is no reason to leave anything in QEMU; when QEMU itself has ended there
 * is nothing to leave. */
static void clean_up(struct push *push)
{
	struct error err = {0};
	bool gone;

	if (qmp_again(&push->qmp, &push->own_qmp, push->options->place, &gone, &err) == 0 &&
	    jobs_end(push->qmp, push->id, &err) == 0)
		nodes_remove(push->qmp, push->id, &err);
	if (err.code != 0 && !gone)
		snprintf(push->outcome->remains, sizeof(push->outcome->remains), "%s", err.text);
}

/* Everything that was made, in reverse. */
static void undo(struct push *push)
{
	if (push->guard != NULL)
		clean_up(push);
	if (push->receiver != NULL)
		push->outcome->counts = receiver_counts(push->receiver);
	receiver_free(push->receiver);
	push->receiver = NULL;
	if (push->listening)
		rundir_remove(push->path);
	guard_end(push->guard, push->outcome->remains[0] == '\0');
	push->guard = NULL;
}

/* What the writer does meanwhile may take for ever, when the output takes nothing: so it is here
 * that a signal ends the program, once nothing is left in QEMU. */
static void *look_after(void *context)
{
	struct push *push = context;

	run_jobs(push);
	undo(push);
	signals_end_by(NULL);
	if (signals_noted() != 0)
		signals_end();
	return NULL;
}

static int begin(struct push *push, struct error *err)
{
	struct instant instant = {.begin = start_jobs, .context = push, .options = push->options};
	int result;

	if (guard_start(&push->guard, "qemu", push->options, push->id, err) < 0 || serve(push, err) < 0 ||
	    add_nodes(push, err) < 0)
		return err->code;
	instant.guard = push->guard;
	result = instant_take(&instant, &push->outcome->instant, err);
	if (result < 0)
		return result;
	push->measured_ms = clock_ms();
	result = pthread_create(&push->thread, NULL, look_after, push);
	if (result != 0)
		return fail_start(err, result, "starting a thread");
	push->running = true;
	return 0;
}

int push_begin(struct push **out, struct qmp *qmp, const struct inventory *inventory,
	       struct buffer *buffer, const struct machine_options *options,
	       const _Atomic uint64_t *covered_bytes, struct push_outcome *outcome, struct error *err)
{
	struct push *push = memory_new(1, sizeof(*push));

	push->qmp = qmp;
	push->inventory = inventory;
	push->buffer = buffer;
	push->options = options;
	push->covered_bytes = covered_bytes;
	push->outcome = outcome;
	run_id_make(push->id);
	push->path = rundir_path(push->id);
	if (begin(push, err) < 0) {
		/* Jobs may have been started all the same: nothing they send must wait now. */
		buffer_fail(buffer, err);
		undo(push);
		push_free(push);
		return err->code;
	}
	*out = push;
	return 0;
}

void push_end(struct push *push)
{
	if (!push->running)
		return;
	pthread_join(push->thread, NULL);
	push->running = false;
}

void push_free(struct push *push)
{
	if (push == NULL)
		return;
	push_end(push);
	qmp_close(push->own_qmp);
	free(push->path);
	free(push);
}
