#include "machine/qemu/mirror_parts.h"

#include "base/clock.h"
#include "base/watcher.h"
#include "drive/drive.h"
#include "machine/guard.h"
#include "machine/mirror_target.h"
#include "machine/qemu/mirror_switch.h"
#include "machine/qemu/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SYNC_MS 10000 /* of a pivot, until all are in sync */
#define STEP_MS 5

/* ---- a pivot ---- */

static int check_sound(const struct qemu_mirror *mirror, struct error *err)
{
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		const struct mirrored *drive = &mirror->drives[i];

		if (drive->failed)
			return fail(err, ERR_SYSTEM, "drive %s: %s", drive->name, drive->err.text);
	}
	return 0;
}

static bool all_in_sync(const struct qemu_mirror *mirror)
{
	bool all = true;

	for (unsigned i = 0; i < mirror->n_drives; i++)
		all = all && qmirror_in_sync(&mirror->drives[i]);
	return all;
}

static int step(struct qemu_mirror *mirror, struct error *err)
{
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		struct mirrored *drive = &mirror->drives[i];

		if (!drive->failed && !qmirror_copied(drive))
			TRY(qmirror_copy(mirror, drive, err));
	}
	return qmirror_tick(mirror, err);
}

static int await_sync(struct qemu_mirror *mirror, struct error *err)
{
	int64_t until_ms = clock_ms() + SYNC_MS;

	for (;;) {
		TRY(step(mirror, err));
		TRY(check_sound(mirror, err));
		if (all_in_sync(mirror))
			return 0;
		if (clock_ms() > until_ms)
			return fail(err, ERR_SYSTEM,
				    "the drives were not in sync within %d s; the mirror goes on",
				    SYNC_MS / 1000);
		clock_sleep_ms(STEP_MS);
	}
}

static int flush_all(struct qemu_mirror *mirror, struct error *err)
{
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		int sys = beside_flush(&mirror->drives[i].output);

		if (sys != 0)
			return fail_system(err, sys, "drive %s: the target: flushing",
					   mirror->drives[i].name);
	}
	return 0;
}

static int prepare_pivot(struct qemu_mirror *mirror, struct error *err)
{
	struct qmp *qmp;
	int code = 0;

	TRY(qmp_open(&qmp, mirror->place, err));
	for (unsigned i = 0; i < mirror->n_drives && code == 0; i++) {
		const struct mirrored *drive = &mirror->drives[i];
		const struct mirror_target target = {
			.path = drive->target,
			.format = drive->format,
			.size_bytes = drive->size_bytes,
			.inode = drive->inode,
		};

		code = mirror_target_check(&target, err);
		if (code == 0)
			code = job_set_rate(qmp, drive, 0, err);
		if (code == 0 && mirror->state != NULL)
			code = switch_prepare_way_back(qmp, mirror, drive, err);
	}
	for (unsigned i = 0; i < mirror->n_drives && code == 0; i++)
		code = note_check_answers(qmp, mirror, &mirror->drives[i], err);
	qmp_close(qmp);
	return code;
}

/* The old drive is to be on its disk before the state says so. */
static void tell_way_back(struct qemu_mirror *mirror, struct qmp *qmp)
{
	struct error err;

	for (unsigned i = 0; i < mirror->n_drives; i++)
		switch_way_back(qmp, mirror, &mirror->drives[i]);
	if (qmirror_write_state(mirror, "pivoted", &err) < 0)
		watcher_warn(mirror->watcher, "mirror: %s", err.text);
}

static void set_phase(struct qemu_mirror *mirror, enum mirror_phase phase)
{
	pthread_mutex_lock(&mirror->lock_all);
	mirror->phase = phase;
	pthread_cond_broadcast(&mirror->changed);
	pthread_mutex_unlock(&mirror->lock_all);
}

/* The last moment at which a pivot can be withdrawn: from here on it is made, within bounds. */
static int commit_to_it(struct qemu_mirror *mirror, struct error *err)
{
	bool may;

	pthread_mutex_lock(&mirror->lock_all);
	may = !mirror->withdrawn && mirror->phase == MIRROR_RUNS;
	mirror->committed = may;
	pthread_mutex_unlock(&mirror->lock_all);
	return may ? 0 : fail(err, ERR_SYSTEM, "it was withdrawn");
}

static int switch_over(struct qemu_mirror *mirror, struct guard *guard, bool *over,
		       struct error *err)
{
	struct qmp *qmp;
	int code;

	code = qmp_open(&qmp, mirror->place, err);
	if (code != 0) {
		guard_end(guard, true);
		return code;
	}
	code = commit_to_it(mirror, err);
	if (code == 0) {
		*over = true;
		code = switch_all(qmp, mirror, guard, true, err);
	}
	/* A guard that waits for the monitor gets it once this process lets it go. */
	guard_end(guard, qmp_works(qmp));
	qmp_close(qmp);
	return code;
}

/* All data that the guest was told is durable is so on the target, too, but for what it wrote
 * since. Others may have the monitor while a target is flushed, which may take long. QEMU flushes
 * it once more while the guest waits: so all that takes time is done before we do for the last
 * time. */
static int switch_flushed(struct qemu_mirror *mirror, bool *over, struct error *err)
{
	struct guard *guard;
	int code;

	TRY(prepare_pivot(mirror, err));
	TRY(flush_all(mirror, err));
	TRY(switch_guard(&guard, mirror, err));
	code = flush_all(mirror, err);
	if (code != 0) {
		guard_end(guard, true);
		return code;
	}
	TRY(switch_over(mirror, guard, over, err));
	code = flush_all(mirror, err);
	if (code != 0)
		error_append(err, "; the drives are at their targets");
	return code;
}

/* Another program may have the monitor for a moment. */
static int open_patiently(struct qmp **out, const struct qemu_mirror *mirror, struct error *err)
{
	int code = qmp_open(out, mirror->place, err);

	return code == ERR_LOCKED ? qmp_open(out, mirror->place, err) : code;
}

/* What is left in QEMU after it. */
static void clear_up(struct qemu_mirror *mirror, bool pivoted)
{
	struct error ignored = {0};
	struct qmp *qmp;

	if (open_patiently(&qmp, mirror, &ignored) == 0) {
		if (pivoted)
			tell_way_back(mirror, qmp);
		mirror_clean(qmp, NULL, NULL, &ignored);
		qmp_close(qmp);
	}
	set_phase(mirror, pivoted ? MIRROR_PIVOTED : MIRROR_ABORTED);
}

int qmirror_pivot(struct qemu_mirror *mirror, struct error *err)
{
	bool over = false;
	int code;

	atomic_store(&mirror->hurry, true);
	code = await_sync(mirror, err);
	if (code == 0)
		code = images_hand_over(mirror, err);
	if (code == 0)
		code = await_sync(mirror, err);
	if (code == 0)
		code = switch_flushed(mirror, &over, err);
	if (over)
		clear_up(mirror, code == 0);
	atomic_store(&mirror->hurry, false);
	return code;
}

/* ---- an abort ---- */

/* A qemu-nbd ends in order once QEMU, too, has hung up. */
static void close_all(struct qemu_mirror *mirror)
{
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		struct mirrored *drive = &mirror->drives[i];

		drive_close(drive->from);
		drive->from = NULL;
		if (drive->output.socket != NULL)
			beside_close(&drive->output);
	}
}

static bool may_end_well(const struct qemu_mirror *mirror)
{
	struct error ignored;
	bool copied = check_sound(mirror, &ignored) == 0;

	for (unsigned i = 0; i < mirror->n_drives; i++)
		copied = copied && qmirror_copied(&mirror->drives[i]);
	return copied;
}

static int end_together(struct qemu_mirror *mirror, struct qmp *qmp, struct error *err)
{
	struct guard *guard;
	int code;

	for (unsigned i = 0; i < mirror->n_drives; i++) {
		TRY(job_set_rate(qmp, &mirror->drives[i], 0, err));
		code = note_await_drained(qmp, mirror, &mirror->drives[i], err);
		if (code <= 0)
			return code < 0 ? code : fail(err, ERR_SYSTEM, "a target is late");
		TRY(note_begin(qmp, mirror, &mirror->drives[i], err));
	}
	TRY(switch_guard(&guard, mirror, err));
	code = switch_all(qmp, mirror, guard, false, err);
	guard_end(guard, qmp_works(qmp));
	return code;
}

/* The copies of all drives are of one instant, and what the guest writes after it is all that they
 * lack. */
static void end_well(struct qemu_mirror *mirror)
{
	struct error err = {0};
	struct qmp *qmp;
	int code = qmp_open(&qmp, mirror->place, &err);

	if (code == 0) {
		code = end_together(mirror, qmp, &err);
		qmp_close(qmp);
	}
	if (code == 0)
		code = flush_all(mirror, &err);
	for (unsigned i = 0; i < mirror->n_drives && code == 0; i++)
		note_cut(&mirror->drives[i]);
	mirror->is_instant = code == 0;
}

static bool still_runs(struct qemu_mirror *mirror)
{
	bool runs;

	pthread_mutex_lock(&mirror->lock_all);
	runs = mirror->phase == MIRROR_RUNS;
	pthread_mutex_unlock(&mirror->lock_all);
	return runs;
}

/* Once nothing of it is in QEMU it has ended, whatever becomes of the state, which promises less
 * then. */
static int finish_abort(struct qemu_mirror *mirror, struct qmp *qmp, struct error *err)
{
	struct error ignored = {0};
	int code;

	TRY(mirror_clean(qmp, mirror->serves ? mirror->rundir : NULL, NULL, err));
	held_stop(mirror, true);
	close_all(mirror);
	code = qmirror_write_state(mirror, "aborted", err);
	if (code < 0)
		error_prefix(err, "the mirror has ended, but what its targets have cannot be kept");
	for (unsigned i = 0; i < mirror->n_drives && mirror->state != NULL && code == 0; i++)
		bits_remove_keeps(qmp, mirror->drives[i].node, mirror->state_id,
				  (int)mirror->drives[i].generation, &ignored);
	set_phase(mirror, MIRROR_ABORTED);
	return code;
}

/* Others may have the monitor while a target is flushed; and one that took too long for that finds
 * that the mirror was ended without it. */
int qmirror_abort(struct qemu_mirror *mirror, struct error *err)
{
	struct qmp *qmp;

	if (may_end_well(mirror))
		end_well(mirror);
	for (unsigned i = 0; i < mirror->n_drives && !mirror->is_instant; i++) {
		if (!mirror->drives[i].failed)
			note_progress(mirror, &mirror->drives[i]);
	}
	if (!still_runs(mirror))
		return 0;
	TRY(open_patiently(&qmp, mirror, err));
	int code = finish_abort(mirror, qmp, err);
	qmp_close(qmp);
	return code;
}

int qmirror_force(struct qemu_mirror *mirror, struct error *err)
{
	struct qmp *qmp;

	TRY(qmp_open(&qmp, mirror->place, err));
	int code = mirror_clean(qmp, mirror->serves ? mirror->rundir : NULL, NULL, err);
	qmp_close(qmp);
	held_stop(mirror, code == 0);
	if (code == 0)
		set_phase(mirror, MIRROR_ABORTED);
	return code;
}
