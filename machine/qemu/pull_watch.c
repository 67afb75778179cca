/*
 * A pull while it is read: whether its jobs still run, and the disk keeps what they save.
 */
#include "base/clock.h"
#include "base/stop.h"
#include "machine/guard.h"
#include "machine/qemu/filter.h"
#include "machine/qemu/migration.h"
#include "machine/qemu/pull_state.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/scratch.h"

#define STEP_MS	 10
#define BRISK_MS 1   /* while looks are asked for */
#define LOOK_MS	 500 /* between looks without an event */

bool pull_reads_snapshots(const struct machine *machine)
{
	return machine->jobs.breaks || machine->filters;
}

static int look(struct machine *machine, struct error *err)
{
	struct jobs_state state;

	if (machine->filters) {
		TRY(migration_check(machine->qemu.qmp, err));
		return filters_check(machine->qemu.qmp, machine->id, &machine->qemu.inventory, err);
	}
	TRY(jobs_check(machine->qemu.qmp, machine->id, &machine->qemu.inventory, &state, err));
	if (state.n_concluded > 0)
		return fail(err, ERR_SYSTEM,
			    "a job in QEMU has ended: another program has ended it");
	return 0;
}

/* Everything was read: whether the disk has kept what QEMU saved. */
static int check_scratches(struct machine *machine, struct error *err)
{
	for (unsigned i = 0; i < machine->n_scratches; i++) {
		const struct scratch *scratch = &machine->scratches[i];

		if (scratch_check_kept(scratch->fd, scratch->path, err) < 0)
			return err->code;
	}
	return 0;
}

/* ---- looks that others ask for ---- */

static uint64_t looks_wanted(struct pull_looks *looks)
{
	uint64_t n;

	pthread_mutex_lock(&looks->lock);
	n = looks->n_wanted;
	pthread_mutex_unlock(&looks->lock);
	return n;
}

static void looks_done(struct pull_looks *looks, uint64_t n)
{
	pthread_mutex_lock(&looks->lock);
	looks->n_done = n;
	pthread_cond_broadcast(&looks->done);
	pthread_mutex_unlock(&looks->lock);
}

static void looks_end(struct pull_looks *looks, const struct error *err)
{
	pthread_mutex_lock(&looks->lock);
	looks->over = true;
	looks->err = *err;
	if (looks->err.code == 0)
		fail(&looks->err, ERR_SYSTEM, "the snapshot has ended");
	pthread_cond_broadcast(&looks->done);
	pthread_mutex_unlock(&looks->lock);
}

/* One that begins from here on tells of all that was read before. */
int pull_check(struct machine *machine, struct error *err)
{
	struct pull_looks *looks = &machine->looks;
	int code = 0;
	uint64_t mine;

	pthread_mutex_lock(&looks->lock);
	mine = ++looks->n_wanted;
	while (looks->n_done < mine && !looks->over)
		pthread_cond_wait(&looks->done, &looks->lock);
	if (looks->n_done < mine) {
		*err = looks->err;
		code = err->code;
	}
	pthread_mutex_unlock(&looks->lock);
	return code;
}

/* ---- the thread ---- */

/* What may be asked at any time; QEMU is not. */
static int look_here(struct machine *machine, struct error *err)
{
	if (stop_signal() != 0)
		return fail(err, ERR_SYSTEM, "interrupted");
	TRY(guard_check_going(machine->guard, err));
	for (unsigned i = 0; i < machine->n_scratches; i++)
		TRY(scratch_take_room(&machine->scratches[i], err));
	return 0;
}

static void watch(struct machine *machine, struct error *err)
{
	int64_t next_look = 0, brisk_until = 0;
	uint64_t done = 0;

	for (;;) {
		bool last = atomic_load(&machine->asked);
		uint64_t wanted = looks_wanted(&machine->looks);

		if (look_here(machine, err) < 0)
			return;
		if (wanted > done)
			brisk_until = clock_ms() + LOOK_MS;
		if (last || wanted > done || clock_ms() >= next_look) {
			if (look(machine, err) < 0)
				return;
			if (last) {
				check_scratches(machine, err);
				return;
			}
			if (wanted > done)
				looks_done(&machine->looks, wanted);
			done = wanted;
			next_look = clock_ms() + LOOK_MS;
		}
		if (qmp_wait(machine->qemu.qmp, clock_ms() < brisk_until ? BRISK_MS : STEP_MS))
			next_look = 0;
	}
}

void pull_watch(struct machine *machine)
{
	watch(machine, &machine->err);
	looks_end(&machine->looks, &machine->err);
}
