/*
 * QEMU keeps a snapshot: its jobs, or filters of our own, save what the guest overwrites in scratch
 * images, and it exports the snapshot for us to read. The order of events:
 *
 *   1. open cleans up after dead runs, whose jobs change the names of nodes
 *   2. the guard starts, which cleans up from here on if this program is killed; then the run
 *      directory, locked as long as we live
 *   3. scratch images, and QEMU's nodes of them; the images then lose their names, so that their
 *      space is freed whatever happens; QEMU's NBD server
 *   4. freeze; one transaction, which is the instant; thaw
 *   5. the exports; a thread looks after the jobs until everything was read
 *   6. it checks that all jobs still run (data read after one has ended may be newer than the
 *      instant) and that the disk has kept the scratch images. Then it removes jobs, exports,
 *      server, nodes and the run directory, and ends the guard
 *
 * The archive is finished after 6, without QEMU.
 *
 * If we are killed the guest waits for nothing. There are three ways, of which the first that QEMU
 * can go is gone:
 *
 *   - jobs that fail the snapshot when they cannot save the old data (jobs_options, breaks)
 *   - filters that do (machine/qemu/filter.h)
 *   - jobs that then fail the guest's write; on-target-error does not prevent that, as it is about
 *     a job's own pass, and these jobs have none
 *
 * In the first two we read the snapshot itself (machine/qemu/snapshot.h), and every read fails once
 * it is lost; in the last the scratch image, which stands on the drive, and would then show new
 * data without a word. Because of the last, the thread reserves room ahead
 * (machine/qemu/scratch.h), and ends the backup when there is none.
 */
#include "base/human.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/watcher.h"
#include "drive/drive.h"
#include "machine/guard.h"
#include "machine/kinds.h"
#include "machine/qemu/filter.h"
#include "machine/qemu/fleece.h"
#include "machine/qemu/instant.h"
#include "machine/qemu/pull_state.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/scratch.h"
#include "machine/qemu/snapshot.h"
#include "machine/qemu/track.h"
#include "machine/qemu/track_since.h"
#include "machine/rundir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- 2 and 3 ---- */

static int make_folder(struct machine *machine, struct error *err)
{
	TRY(rundir_make(machine->path, err));
	machine->lock = rundir_lock(machine->path);
	return machine->lock < 0 ? fail_system(err, errno, "%s", machine->path) : 0;
}

/* One for a drive of that size, made before; NULL: none. */
static const struct scratch *find_scratch(const struct machine *machine, uint64_t size_bytes)
{
	for (unsigned i = 0; i < machine->n_scratches; i++) {
		if (machine->qemu.inventory.drives[i].size_bytes == size_bytes)
			return &machine->scratches[i];
	}
	return NULL;
}

static int make_scratch(struct machine *machine, unsigned i, struct error *err)
{
	uint64_t size_bytes = machine->qemu.inventory.drives[i].size_bytes;
	const struct scratch *like = find_scratch(machine, size_bytes);
	struct scratch *scratch = &machine->scratches[i];
	char *file = rundir_file(machine->path, i);
	gid_t group;

	if (file == NULL)
		return fail_memory(err);
	machine->n_scratches++;
	TRY(scratch_make(scratch, file, size_bytes, like, err));
	return qmp_group(machine->qemu.qmp, &group) ? rundir_open(scratch->path, group, err) : 0;
}

static int make_scratches(struct machine *machine, struct error *err)
{
	unsigned n = machine->qemu.inventory.n_drives;

	machine->scratches = calloc(n, sizeof(*machine->scratches));
	machine->drives = calloc(n, sizeof(*machine->drives));
	if (machine->scratches == NULL || machine->drives == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < n; i++)
		TRY(make_scratch(machine, i, err));
	return 0;
}

static int add_nodes(struct machine *machine, struct error *err)
{
	struct error ignored;

	for (unsigned i = 0; i < machine->n_scratches; i++)
		TRY(fleece_add_node(machine->qemu.qmp, machine->id, &machine->qemu.inventory, i,
				    machine->scratches[i].path, err));
	TRY(qmp_settle(machine->qemu.qmp, NULL, err));
	for (unsigned i = machine->n_scratches; i-- > 0;)
		scratch_unlink(&machine->scratches[i]);
	/* Some QEMUs leave out that driver. */
	jobs_ask(machine->qemu.qmp, &machine->jobs);
	machine->jobs.limit = false;
	if (machine->jobs.breaks &&
	    snapshots_add(machine->qemu.qmp, machine->id, &machine->qemu.inventory, &ignored) < 0)
		machine->jobs.breaks = false;
	return 0;
}

/* Where QEMU refuses something of it, it can do without. */
static int add_filters(struct machine *machine, struct error *err)
{
	struct qmp *qmp = machine->qemu.qmp;
	struct error ignored;

	if (machine->jobs.breaks || !filters_fit(qmp, &machine->qemu.inventory))
		return 0;
	machine->filters = filters_add(qmp, machine->id, &machine->qemu.inventory, machine->path,
				       &ignored) == 0;
	return machine->filters ? 0 : filters_remove(qmp, machine->id, machine->path, err);
}

/* A QEMU of another user makes its socket itself. */
static int start_server(struct machine *machine, struct error *err)
{
	gid_t group;

	if (machine->qemu.options->qemu_server != NULL)
		return 0;
	if (qmp_group(machine->qemu.qmp, &group))
		TRY(rundir_admit(machine->path, group, err));
	return fleece_start_server(machine->qemu.qmp, machine->path, err);
}

/* ---- 4 ---- */

static int start(struct machine *machine, struct error *err)
{
	const struct inventory *inventory = &machine->qemu.inventory;
	struct qmp *qmp = machine->qemu.qmp;

	machine->filters = machine->filters && filters_start(qmp, machine->id, inventory, err) == 0;
	if (machine->filters)
		return 0;
	TRY(filters_remove(qmp, machine->id, machine->path, err));
	return jobs_start(qmp, machine->id, inventory, &machine->jobs, err);
}

static int take_instant(void *context, struct error *err)
{
	struct machine *machine = context;
	int64_t begun = clock_ms();
	int code;

	guard_tell(machine->guard, GUARD_BEGINS, -1);
	code = start(machine, err);
	machine->qemu.instant.instant_ms = (uint64_t)(clock_ms() - begun);
	return code;
}

/* ---- 6 ---- */

static void measure_scratches(struct machine *machine)
{
	for (unsigned i = 0; i < machine->n_scratches; i++) {
		struct stat found;

		if (machine->scratches[i].fd >= 0 && fstat(machine->scratches[i].fd, &found) == 0)
			machine->scratch_bytes += (uint64_t)found.st_size;
	}
}

static int remove_all(void *context, struct error *err)
{
	struct machine *machine = context;

	return fleece_remove(machine->qemu.qmp, machine->id, machine->path, err);
}

static void undo(struct machine *machine)
{
	bool remains;

	measure_scratches(machine);
	gate_shut(&machine->gate);
	if (machine->guard != NULL && !qemu_clear(&machine->qemu, remove_all, machine) &&
	    machine->err.code == ERR_SYSTEM)
		fail(&machine->err, ERR_SYSTEM, "QEMU has ended while its drives were read");
	for (unsigned i = machine->n_scratches; i-- > 0;)
		scratch_close(&machine->scratches[i]);
	machine->n_scratches = 0;
	remains = machine->qemu.remains[0] != '\0';
	if (machine->path != NULL && !remains)
		fleece_remove_files(machine->path);
	if (machine->lock >= 0)
		close(machine->lock);
	machine->lock = -1;
	guard_end(machine->guard, !remains);
	machine->guard = NULL;
	qemu_calm();
}

static void *look_after(void *context)
{
	struct machine *machine = context;

	pull_watch(machine);
	undo(machine);
	return NULL;
}

static int try_begin(struct machine *machine, const struct machine_since *since, struct error *err)
{
	struct qemu *qemu = &machine->qemu;
	const char *scratch = qemu->options->scratch;
	struct instant instant = {
		.begin = take_instant,
		.context = machine,
		.options = qemu->options,
	};
	int sys;

	TRY(rundir_path_in(&machine->path, scratch == NULL ? SCRATCH_FOLDER : scratch, machine->id,
			   err));
	TRY(guard_start(&machine->guard, "qemu", qemu->options, machine->id, err));
	if (fleece_is_held(qemu->qmp, &qemu->inventory))
		gate_hold(&machine->gate, machine->guard, qemu->inventory.n_drives);
	TRY(make_folder(machine, err));
	TRY(make_scratches(machine, err));
	TRY(add_nodes(machine, err));
	TRY(add_filters(machine, err));
	TRY(start_server(machine, err));
	instant.guard = machine->guard;
	TRY(track_prepare(machine->track, since, NULL, err));
	TRY(instant_take(&instant, &qemu->instant, err));
	TRY(track_ended(machine->track, err));
	TRY(fleece_add_exports(qemu->qmp, machine->id, &qemu->inventory,
			       pull_reads_snapshots(machine), err));
	sys = pthread_create(&machine->thread, NULL, look_after, machine);
	if (sys != 0)
		return fail_start(err, sys, "starting a thread");
	machine->running = true;
	return 0;
}

/* watch looks at stop_signal. */
static void interrupt(void *context)
{
	(void)context;
}

static int pull_begin(struct machine *machine, const struct machine_since *since, struct error *err)
{
	qemu_stir(interrupt, machine);
	if (try_begin(machine, since, err) == 0)
		return 0;
	qemu_advise(&machine->qemu, err);
	undo(machine);
	qemu_warn(&machine->qemu);
	return err->code;
}

/* ---- the interface ---- */

static int pull_drive(struct machine *machine, uint32_t i, struct drive **out, struct error *err)
{
	const char *server = machine->qemu.options->qemu_server;
	char name[NODE_NAME_SIZE];

	TRY(gate_drive(&machine->gate, &machine->drives[i], server == NULL ? machine->path : server,
		       node_name(name, machine->id, i), machine->qemu.drives[i].size_bytes, err));
	*out = machine->drives[i];
	return 0;
}

static void join(struct machine *machine)
{
	atomic_store(&machine->asked, true);
	if (machine->running)
		pthread_join(machine->thread, NULL);
	machine->running = false;
	qemu_warn(&machine->qemu);
}

static void pull_end(struct machine *machine)
{
	if (machine == NULL)
		return;
	join(machine);
	for (unsigned i = 0; machine->drives != NULL && i < machine->qemu.inventory.n_drives; i++)
		drive_close(machine->drives[i]);
	track_close(machine->track);
	qemu_close(&machine->qemu);
	free(machine->drives);
	free(machine->scratches);
	free(machine->path);
	pthread_cond_destroy(&machine->looks.done);
	pthread_mutex_destroy(&machine->looks.lock);
	free(machine);
}

static int pull_open(struct machine **out, const struct machine_options *options,
		     const struct watcher *watcher, struct error *err)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (machine == NULL)
		return fail_memory(err);
	machine->lock = -1;
	pthread_mutex_init(&machine->looks.lock, NULL);
	pthread_cond_init(&machine->looks.done, NULL);
	gate_init(&machine->gate);
	run_id_make(machine->id);
	if (qemu_open(&machine->qemu, options, watcher, err) < 0 ||
	    (options->since != NULL && track_check_named(&machine->qemu, err) < 0) ||
	    ((options->track || options->since != NULL) &&
	     track_open(&machine->track, &machine->qemu, err) < 0)) {
		pull_end(machine);
		return err->code;
	}
	*out = machine;
	return 0;
}

static void pull_describe(const struct machine *machine, struct machine_description *out)
{
	qemu_describe(&machine->qemu, out);
}

static int pull_finish(struct machine *machine, struct error *err)
{
	join(machine);
	if (machine->err.code != 0)
		*err = machine->err;
	return machine->err.code;
}

/* A failure to read may follow from what ended the snapshot, which then is the reason to tell. */
static int pull_explain(struct machine *machine, struct error *err)
{
	pull_finish(machine, err);
	return err->code;
}

static const char *pull_token(const struct machine *machine, uint32_t i)
{
	return track_token(machine->track, i);
}

static int pull_changes(struct machine *machine, uint32_t i, struct machine_changes *out,
			struct error *err)
{
	return track_changes(machine->track, i, out, err);
}

static int pull_distrust(struct machine *machine, uint32_t i, struct error *err)
{
	(void)err;
	track_distrust(machine->track, i);
	return 0;
}

static int pull_commit(struct machine *machine, const struct machine_archive *archive,
		       struct error *err)
{
	return track_commit(machine->track, archive, err);
}

static void pull_outcome(struct machine *machine, struct json_t *capture)
{
	char size[HUMAN_SIZE];

	qemu_outcome(&machine->qemu, capture);
	json_put_number(capture, "scratch_bytes", machine->scratch_bytes);
	watcher_detail(machine->qemu.watcher, "the scratch images took %s",
		       human_size(size, machine->scratch_bytes));
}

const struct machine_kind machine_pull = {
	.open = pull_open,
	.describe = pull_describe,
	.token = pull_token,
	.begin = pull_begin,
	.changes = pull_changes,
	.distrust = pull_distrust,
	.rebuilds = true,
	.drive = pull_drive,
	.check = pull_check,
	.finish = pull_finish,
	.explain = pull_explain,
	.commit = pull_commit,
	.outcome = pull_outcome,
	.end = pull_end,
};
