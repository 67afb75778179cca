#include "machine/qemu/push_run.h"

#include "base/clock.h"
#include "base/error.h"
#include "cow/buffer.h"
#include "machine/guard.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/snapshot.h"
#include "machine/rundir.h"

#include <stdio.h>
#include <stdlib.h>

#define STEP_MS	    20
#define LOOK_MS	    500 /* between looks without an event */
#define RECONNECT_S 10	/* QEMU waits for the guard if we are killed: it needs one or two */

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

int push_start(void *context, struct error *err)
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
void push_undo(struct machine *machine)
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
	push_undo(machine);
	return NULL;
}

void push_interrupt(void *context)
{
	struct machine *machine = context;
	struct error err;

	fail(&err, ERR_SYSTEM, "interrupted");
	buffer_fail(machine->buffer, &err);
}

int push_connect(struct machine *machine, struct error *err)
{
	TRY(guard_start(&machine->guard, "qemu", machine->qemu.options, machine->id, err));
	TRY(serve(machine, err));
	return add_nodes(machine, err);
}

int push_go(struct machine *machine, struct error *err)
{
	int sys;

	speed_begin(&machine->speed, machine->buffer);
	sys = pthread_create(&machine->thread, NULL, look_after, machine);
	if (sys != 0)
		return fail_start(err, sys, "starting a thread");
	machine->running = true;
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
void push_join(struct machine *machine)
{
	if (machine->running)
		pthread_join(machine->thread, NULL);
	machine->running = false;
	qemu_warn(&machine->qemu);
}

int push_make(struct machine *machine, struct error *err)
{
	machine->jobs.copies = true;
	machine->jobs.full = machine->qemu.options->sync_mode == SYNC_FULL;
	run_id_make(machine->id);
	machine->path = rundir_path(machine->id);
	return machine->path == NULL ? fail_memory(err) : make_buffer(machine, err);
}

void push_free(struct machine *machine)
{
	buffer_free(machine->buffer);
	free(machine->path);
}
