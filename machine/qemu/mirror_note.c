/*
 * What the targets have, noted in the state file.
 */
#include "machine/qemu/mirror_switch.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/watcher.h"
#include "drive/drive.h"
#include "machine/qemu/bitmaps.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/qmp.h"

#define FIRST_MS  20000 /* while drives are copied it is noted this often */
#define OFTEN_MS  5000	/* and never more often than this after it */
#define SELDOM_MS 20000 /* a guest that never rests is not asked more often whether it does */
#define DRAIN_MS  2000
#define STEP_MS	  2
#define DUE_BYTES (UINT64_C(256) << 20)
#define DUE_PART  64u /* of the drive */

static void warn(const struct qemu_mirror *mirror, const struct error *err)
{
	watcher_warn(mirror->watcher, "mirror: %s", err->text);
}

static int flush(struct qemu_mirror *mirror, struct mirrored *drive)
{
	struct error err = {0};
	int sys = beside_flush(&drive->output);

	if (sys == 0)
		return 0;
	fail_system(&err, sys, "the target: flushing");
	qmirror_fail(mirror, drive, &err);
	return err.code;
}

void note_progress(struct qemu_mirror *mirror, struct mirrored *drive)
{
	struct error err;

	drive->noted_ms = clock_ms();
	if (mirror->state == NULL || drive->cursor <= drive->n_known || flush(mirror, drive) < 0)
		return;
	drive->n_known = drive->cursor < drive->n_clusters ? drive->cursor : drive->n_clusters;
	if (qmirror_write_state(mirror, "running", &err) < 0)
		warn(mirror, &err);
}

/* ---- generations of keep ---- */

/* 1: all that was written before has reached the target; 0: not in time. A job's bitmap loses a bit
 * before the cluster is written, and what is left for it to write is counted then. */
int note_await_drained(struct qmp *qmp, const struct qemu_mirror *mirror,
		       const struct mirrored *drive, struct error *err)
{
	int64_t until_ms = clock_ms() + DRAIN_MS;
	struct job_look found;
	uint64_t n_dirty;

	while (clock_ms() < until_ms && !atomic_load(&mirror->leaving)) {
		TRY(bits_of_jobs(qmp, NULL, &n_dirty, err));
		TRY(job_look(qmp, drive, &found, err));
		if (n_dirty == 0 && found.there && !found.concluded && found.left_bytes == 0)
			return 1;
		clock_sleep_ms(STEP_MS);
	}
	return 0;
}

int note_check_answers(struct qmp *qmp, const struct qemu_mirror *mirror,
		       const struct mirrored *drive, struct error *err)
{
	int64_t until_ms = clock_ms() + DRAIN_MS;
	struct job_look first, found;

	TRY(job_look(qmp, drive, &first, err));
	for (found = first; found.left_bytes > 0 && found.done_bytes <= first.done_bytes;) {
		if (clock_ms() > until_ms || atomic_load(&mirror->leaving))
			return fail(err, ERR_SYSTEM,
				    "drive %s: the target does not answer QEMU's writes; the "
				    "mirror goes on",
				    drive->name);
		clock_sleep_ms(STEP_MS);
		TRY(job_look(qmp, drive, &found, err));
	}
	return 0;
}

int note_begin(struct qmp *qmp, struct qemu_mirror *mirror, const struct mirrored *drive,
	       struct error *err)
{
	char name[MIRROR_NAME_SIZE];

	if (mirror->state == NULL)
		return 0;
	TRY(bits_remove_keeps(qmp, drive->node, mirror->state_id, (int)drive->generation, err));
	mirror_keep_name(name, mirror->state_id, drive->generation + 1);
	return bits_add(qmp, drive, name, true, err);
}

void note_cut(struct mirrored *drive)
{
	drive->generation++;
	drive->n_known = drive->n_clusters;
	drive->was_cut = true;
}

static int cut(struct qmp *qmp, struct qemu_mirror *mirror, struct mirrored *drive,
	       struct error *err)
{
	int code;

	drive->tried_ms = clock_ms();
	code = note_await_drained(qmp, mirror, drive, err);
	if (code <= 0)
		return code;
	TRY(note_begin(qmp, mirror, drive, err));
	code = note_await_drained(qmp, mirror, drive, err);
	drive->drained = code == 1;
	return code < 0 ? code : 0;
}

/* The monitor is let go meanwhile: a target may take long, or never answer. */
static int finish_cut(struct qemu_mirror *mirror, struct mirrored *drive, struct error *err)
{
	struct qmp *qmp;

	drive->drained = false;
	if (flush(mirror, drive) < 0)
		return 0;
	note_cut(drive);
	TRY(qmirror_write_state(mirror, "running", err));
	TRY(qmp_open(&qmp, mirror->place, err));
	int code =
		bits_remove_keeps(qmp, drive->node, mirror->state_id, (int)drive->generation, err);
	qmp_close(qmp);
	return code;
}

static int is_due(struct qmp *qmp, const struct qemu_mirror *mirror, const struct mirrored *drive,
		  bool *due, struct error *err)
{
	uint64_t most = drive->size_bytes / DUE_PART;
	char name[MIRROR_NAME_SIZE];
	struct json_t *nodes;
	struct bitmap found;

	*due = drive->tried_ms == 0;
	if (*due || clock_ms() - drive->tried_ms < (drive->was_cut ? OFTEN_MS : SELDOM_MS))
		return 0;
	*due = !drive->was_cut;
	if (*due)
		return 0;
	TRY(nodes_query(qmp, &nodes, err));
	mirror_keep_name(name, mirror->state_id, drive->generation);
	found = bitmap_find(nodes, drive->node, name);
	json_free(nodes);
	*due = found.count_bytes > (most > DUE_BYTES ? most : DUE_BYTES);
	return 0;
}

static int note(struct qmp *qmp, struct qemu_mirror *mirror, struct mirrored *drive,
		struct error *err)
{
	bool due;

	if (mirror->state == NULL || drive->output.handed || atomic_load(&mirror->hurry) ||
	    !qmirror_in_sync(drive))
		return 0;
	TRY(is_due(qmp, mirror, drive, &due, err));
	return due ? cut(qmp, mirror, drive, err) : 0;
}

/* Of a drive that is copied at once: a guest that never rests lets no generation be cut. */
static bool progress_is_due(const struct qemu_mirror *mirror, struct mirrored *drive)
{
	if (drive->failed || atomic_load(&mirror->hurry))
		return false;
	if (qmirror_copied(drive))
		return drive->n_known < drive->n_clusters;
	if (drive->noted_ms == 0)
		drive->noted_ms = clock_ms();
	return clock_ms() - drive->noted_ms > FIRST_MS;
}

/* ---- looking after ---- */

/* A job that waits for one of its requests, up to 16 MiB of which are in flight, does not count
 * what was written meanwhile, and says that little is left. Newer QEMUs have its bitmap at a node
 * of the job's own, which is known where there is no other job. */
static int count_dirty(struct qmp *qmp, const struct mirrored *drive, const struct job_look *found,
		       uint64_t *n_dirty, struct error *err)
{
	*n_dirty = 0;
	if (found->left_bytes == 0 || !qmirror_copied(drive))
		return 0;
	return bits_of_jobs(qmp, found->alone ? NULL : drive->node, n_dirty, err);
}

static int look(struct qmp *qmp, struct qemu_mirror *mirror, struct mirrored *drive,
		struct error *err)
{
	struct job_look found;
	struct error why = {0};
	uint64_t n_dirty;

	if (!drive->has_job)
		return 0;
	TRY(job_look(qmp, drive, &found, err));
	TRY(count_dirty(qmp, drive, &found, &n_dirty, err));
	atomic_store(&drive->job_bytes, n_dirty > found.left_bytes ? n_dirty : found.left_bytes);
	/* What is in flight, and was written once more, is counted twice in what is left. */
	qmirror_compare(drive, found.done_bytes, n_dirty > 0 ? n_dirty : found.left_bytes,
			clock_ms());
	if (found.there && !found.concluded && !drive->failed)
		return 0;
	fail(&why, ERR_SYSTEM, "QEMU's job failed: %s",
	     found.error[0] != '\0' ? found.error : "another program has ended it");
	qmirror_fail(mirror, drive, &why);
	drive->has_job = false;
	return job_end(qmp, drive, err);
}

/* Nothing is left to be read from QEMU. It hangs up first. */
static int close_exports(struct qmp *qmp, struct qemu_mirror *mirror, struct error *err)
{
	if (!mirror->exported)
		return 0;
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		if (!mirror->drives[i].failed && !qmirror_copied(&mirror->drives[i]))
			return 0;
	}
	TRY(exports_end(qmp, mirror, err));
	held_stop(mirror, true);
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		drive_close(mirror->drives[i].from);
		mirror->drives[i].from = NULL;
	}
	return 0;
}

static int look_after(struct qmp *qmp, struct qemu_mirror *mirror, struct error *err)
{
	for (unsigned i = 0; i < mirror->n_drives; i++)
		TRY(look(qmp, mirror, &mirror->drives[i], err));
	TRY(close_exports(qmp, mirror, err));
	for (unsigned i = 0; i < mirror->n_drives; i++)
		TRY(note(qmp, mirror, &mirror->drives[i], err));
	return 0;
}

int qmirror_tick(struct qemu_mirror *mirror, struct error *err)
{
	struct qmp *qmp;

	TRY(qmp_open(&qmp, mirror->place, err));
	int code = look_after(qmp, mirror, err);
	qmp_close(qmp);
	for (unsigned i = 0; i < mirror->n_drives && code == 0; i++) {
		struct mirrored *drive = &mirror->drives[i];

		if (drive->drained)
			code = finish_cut(mirror, drive, err);
		else if (progress_is_due(mirror, drive))
			note_progress(mirror, drive);
	}
	return code;
}
