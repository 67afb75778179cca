/*
 * The order of things, and what is left by whom if this program is killed in between:
 *
 *   1. before all this: cleaning up after dead runs, as their jobs change the names of nodes
 *   2. the guard, which from here on cleans up, and the folder, locked as long as we live
 *   3. the scratch images, QEMU's nodes of them; then they lose their names, so that their space is
 *      given back whatever happens; the NBD server
 *   4. freeze, transaction: the instant, thaw
 *   5. the exports, and the thread below, until all was read
 *   6. whether all jobs still run: if not, what was read may be of later; whether the disk has kept
 *      what QEMU saved in the scratch images. Then exports, jobs, server and nodes are removed, the
 *      folder and the guard
 *
 * The archive is finished after 6, without QEMU.
 *
 * If we are killed the guest does not wait for anything. But QEMU has its write fail when what it
 * overwrites cannot be saved, and its jobs have no option against that (on-target-error is about a
 * job's own pass, and here there is none): so the thread takes room ahead (machine/qemu/scratch.h), and ends
 * all when there is none.
 */
#include "machine/qemu/pull.h"

#include "base/clock.h"
#include "machine/qemu/fleece.h"
#include "machine/guard.h"
#include "machine/gate.h"
#include "machine/rundir.h"
#include "cli/memory.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/scratch.h"
#include "cli/signals.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_MS 10
#define LOOK_MS 500 /* when no event says that there is something to see */

struct pull {
	struct qmp *qmp; /* borrowed, or own_qmp */
	struct qmp *own_qmp;
	const struct inventory *inventory;
	const struct machine_options *options;
	struct pull_outcome *outcome;
	char id[RUN_ID_SIZE];
	char *path; /* owned: of the socket, if the server is started by us; beside it all else is
		     */
	int lock;   /* of the folder; -1: none */
	struct guard *guard;
	unsigned n_scratches;
	struct scratch *scratches; /* owned */
	bool running;		   /* the thread is */
	pthread_t thread;
	atomic_bool asked; /* to end */
	struct gate gate;
	struct error err; /* why it ended early, once the thread has ended */
};

/* ---- 2 and 3 ---- */

static int choose_folder(struct pull *pull, struct error *err)
{
	const char *folder = pull->options->scratch;

	return rundir_path_in(&pull->path, folder == NULL ? SCRATCH_FOLDER : folder, pull->id,
				    err);
}

static int make_folder(struct pull *pull, struct error *err)
{
	if (rundir_make(pull->path, err) < 0)
		return err->code;
	pull->lock = rundir_lock(pull->path);
	if (pull->lock < 0)
		return fail_system(err, errno, "%s", pull->path);
	return 0;
}

/* A QEMU of another user makes its socket itself. */
static int admit(struct pull *pull, struct error *err)
{
	struct ucred peer;

	if (geteuid() != 0 || !qmp_peer(pull->qmp, &peer) || peer.uid == 0)
		return 0;
	return rundir_admit(pull->path, peer.gid, err);
}

static int make_scratches(struct pull *pull, struct error *err)
{
	const struct inventory *inventory = pull->inventory;

	pull->scratches = memory_new(inventory->n_drives, sizeof(*pull->scratches));
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		char *file = rundir_file(pull->path, i);

		pull->n_scratches++;
		if (scratch_make(&pull->scratches[i], file, inventory->drives[i].size_bytes, err) <
			    0 ||
		    rundir_open(pull->scratches[i].path, pull->qmp, err) < 0)
			return err->code;
	}
	return 0;
}

static int add_nodes(struct pull *pull, struct error *err)
{
	for (unsigned i = 0; i < pull->n_scratches; i++) {
		if (fleece_add_node(pull->qmp, pull->id, pull->inventory, i, pull->scratches[i].path,
				    err) < 0)
			return err->code;
	}
	for (unsigned i = pull->n_scratches; i-- > 0;)
		scratch_unlink(&pull->scratches[i]);
	return 0;
}

static int start_server(struct pull *pull, struct error *err)
{
	if (pull->options->nbd_server != NULL)
		return 0;
	if (admit(pull, err) < 0)
		return err->code;
	return fleece_start_server(pull->qmp, pull->path, err);
}

/* ---- 4 ---- */

static int start_jobs(void *context, struct error *err)
{
	struct pull *pull = context;

	return instant_transaction(pull->qmp, fleece_jobs(pull->id, pull->inventory),
				   &pull->outcome->instant, err);
}

/* ---- 5 ---- */

static int look(struct pull *pull, struct error *err)
{
	struct jobs_state state;

	if (jobs_check(pull->qmp, pull->id, pull->inventory, &state, err) < 0)
		return err->code;
	if (state.n_concluded > 0)
		return fail(err, ERR_SYSTEM, "a job in QEMU has ended: somebody has ended it");
	return 0;
}

/* All was read: whether it was what QEMU had saved. */
static int check_scratches(struct pull *pull, struct error *err)
{
	for (unsigned i = 0; i < pull->n_scratches; i++) {
		const struct scratch *scratch = &pull->scratches[i];

		if (scratch_check_kept(scratch->fd, scratch->path, err) < 0)
			return err->code;
	}
	return 0;
}

/* Up to the end, or until something has gone wrong. What is asked for at the end is looked at once
 * more after that. QEMU is asked only when it has said that something happened, and now and then.
 */
static void watch(struct pull *pull)
{
	struct error *err = &pull->err;
	int64_t next_look = 0;

	for (;;) {
		bool last = atomic_load(&pull->asked);

		if (signals_noted() != 0) {
			fail(err, ERR_SYSTEM, "interrupted");
			return;
		}
		for (unsigned i = 0; i < pull->n_scratches; i++) {
			if (scratch_take_room(&pull->scratches[i], err) < 0)
				return;
		}
		if (last || clock_ms() >= next_look) {
			if (look(pull, err) < 0)
				return;
			if (last) {
				check_scratches(pull, err);
				return;
			}
			next_look = clock_ms() + LOOK_MS;
		}
		if (qmp_wait(pull->qmp, STEP_MS))
			next_look = 0;
	}
}

/* ---- 6 ---- */

static void tell_sizes(struct pull *pull)
{
	for (unsigned i = 0; i < pull->n_scratches; i++) {
		struct stat found;

		if (pull->scratches[i].fd >= 0 && fstat(pull->scratches[i].fd, &found) == 0)
			pull->outcome->scratch_bytes += (uint64_t)found.st_size;
	}
}

static void undo(struct pull *pull)
{
	char *remains = pull->outcome->remains;
	struct error err = {0};
	bool gone = false;

	tell_sizes(pull);
	gate_end(&pull->gate);
	if (pull->guard != NULL &&
	    (qmp_again(&pull->qmp, &pull->own_qmp, pull->options->place, &gone, &err) < 0 ||
	     fleece_remove(pull->qmp, pull->id, pull->path, &err) < 0) &&
	    !gone)
		snprintf(remains, sizeof(pull->outcome->remains), "%s", err.text);
	for (unsigned i = pull->n_scratches; i-- > 0;)
		scratch_close(&pull->scratches[i]);
	pull->n_scratches = 0;
	if (pull->path != NULL && remains[0] == '\0')
		fleece_remove_files(pull->path);
	if (pull->lock >= 0)
		close(pull->lock);
	pull->lock = -1;
	guard_end(pull->guard, remains[0] == '\0');
	pull->guard = NULL;
}

/* What the writer does meanwhile may take for ever, when the output takes nothing: so it is here
 * that a signal ends the program, once nothing is left in QEMU. */
static void *look_after(void *context)
{
	struct pull *pull = context;

	watch(pull);
	undo(pull);
	signals_end_by(NULL);
	if (signals_noted() != 0)
		signals_end();
	return NULL;
}

static int begin(struct pull *pull, struct error *err)
{
	struct instant instant = {.begin = start_jobs, .context = pull, .options = pull->options};
	int result;

	if (choose_folder(pull, err) < 0 ||
	    guard_start(&pull->guard, "qemu", pull->options, pull->id, err) < 0 ||
	    make_folder(pull, err) < 0 || make_scratches(pull, err) < 0 ||
	    add_nodes(pull, err) < 0 || start_server(pull, err) < 0)
		return err->code;
	instant.guard = pull->guard;
	if (instant_take(&instant, &pull->outcome->instant, err) < 0 ||
	    fleece_add_exports(pull->qmp, pull->id, pull->inventory, err) < 0)
		return err->code;
	result = pthread_create(&pull->thread, NULL, look_after, pull);
	if (result != 0)
		return fail_start(err, result, "starting a thread");
	pull->running = true;
	return 0;
}

int pull_begin(struct pull **out, struct qmp *qmp, const struct inventory *inventory,
	       const struct machine_options *options, struct pull_outcome *outcome, struct error *err)
{
	struct pull *pull = memory_new(1, sizeof(*pull));

	pull->qmp = qmp;
	pull->inventory = inventory;
	pull->options = options;
	pull->outcome = outcome;
	pull->lock = -1;
	pull->gate = (struct gate)GATE_INIT;
	run_id_make(pull->id);
	if (begin(pull, err) < 0) {
		undo(pull);
		pull_free(pull);
		return err->code;
	}
	*out = pull;
	return 0;
}

int pull_open(struct pull *pull, unsigned drive, struct drive **out, struct error *err)
{
	const char *server = pull->options->nbd_server;
	char name[NODE_NAME_SIZE];
	char *uri = rundir_uri(server == NULL ? pull->path : server,
				     node_name(name, pull->id, drive));
	int result = gate_open(&pull->gate, out, uri, err);

	free(uri);
	return result;
}

static void end(struct pull *pull)
{
	if (!pull->running)
		return;
	atomic_store(&pull->asked, true);
	pthread_join(pull->thread, NULL);
	pull->running = false;
}

int pull_finish(struct pull *pull, struct error *err)
{
	end(pull);
	if (pull->err.code != 0)
		*err = pull->err;
	return pull->err.code;
}

/* What is asked at the end may fail because of what failed before; that QEMU's connections broke
 * while the snapshot was there is another matter. */
int pull_explain(struct pull *pull, struct error *err)
{
	end(pull);
	if (pull->err.code != 0)
		*err = pull->err;
	return err->code;
}

void pull_free(struct pull *pull)
{
	if (pull == NULL)
		return;
	end(pull);
	qmp_close(pull->own_qmp);
	free(pull->scratches);
	free(pull->path);
	free(pull);
}
