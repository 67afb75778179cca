/*
 * What the keeper says of a mirror.
 */
#include "machine/qemu/mirror_parts.h"

#include "base/json.h"

#define COMPARE_MS  2000
#define N_WORSE	    3
#define NEARER_PART 16u /* of what the job has written: it came nearer by less, so not at all */

/* A guest that writes to the same place on and on adds nothing to what is left, and yet it does not
 * become less. The most that was left is compared, as a job may have much in flight that the guest
 * writes once more. Of a target that took nothing this says nothing. */
static void close_comparison(struct mirrored *drive, uint64_t done, int64_t now_ms)
{
	uint64_t nearer = (done - drive->compared_done) / NEARER_PART;

	if (drive->most_left + nearer < drive->compared_left)
		atomic_store(&drive->n_worse, 0);
	else
		atomic_fetch_add(&drive->n_worse, 1);
	drive->compared_ms = now_ms;
	drive->compared_done = done;
	drive->compared_left = drive->most_left;
	drive->most_left = 0;
}

void qmirror_compare(struct mirrored *drive, uint64_t done_bytes, uint64_t left_bytes,
		     int64_t now_ms)
{
	if (!qmirror_copied(drive) || atomic_load(&drive->job_bytes) <= MIRROR_SYNC_BYTES) {
		atomic_store(&drive->n_worse, 0);
		drive->compared_ms = 0;
		return;
	}
	if (drive->compared_ms == 0) {
		drive->compared_ms = now_ms;
		drive->compared_done = done_bytes;
		drive->compared_left = UINT64_MAX;
		drive->most_left = 0;
	}
	if (drive->most_left < left_bytes)
		drive->most_left = left_bytes;
	if (now_ms - drive->compared_ms >= COMPARE_MS && done_bytes > drive->compared_done)
		close_comparison(drive, done_bytes, now_ms);
}

static bool is_diverging(const struct mirrored *drive)
{
	return !drive->failed && atomic_load(&drive->n_worse) >= N_WORSE;
}

static const char *state_of(const struct mirrored *drive)
{
	return drive->failed ? "failed" : qmirror_in_sync(drive) ? "in sync" : "copying";
}

static void put_drive(struct json_t *line, const struct mirrored *drive)
{
	json_put_text(line, "name", drive->name);
	json_put_text(line, "target", drive->target);
	json_put_number(line, "size_bytes", drive->size_bytes);
	json_put_text(line, "state", state_of(drive));
	json_put_number(line, "left_bytes",
			atomic_load(&drive->need_bytes) + atomic_load(&drive->job_bytes));
	json_put_number(line, "copied_bytes", atomic_load(&drive->copied_bytes));
	json_put_bool(line, "diverging", is_diverging(drive));
	json_put_text(line, "error", drive->failed ? drive->err.text : NULL);
}

void qmirror_put_status(struct qemu_mirror *mirror, struct json_t *out)
{
	struct json_t *object = json_put_object(out, "mirror"), *drives;

	pthread_mutex_lock(&mirror->lock_all);
	json_put_text(object, "phase", mirror->phase == MIRROR_RUNS ? "running" : "ended");
	json_put_number(object, "rate_bytes_per_s", atomic_load(&mirror->rate));
	json_put_text(object, "state_file", mirror->state);
	drives = json_put_array(object, "drives");
	for (unsigned i = 0; i < mirror->n_drives; i++)
		put_drive(json_add_object(drives), &mirror->drives[i]);
	pthread_mutex_unlock(&mirror->lock_all);
}

struct json_t *qmirror_begun(const struct qemu_mirror *mirror)
{
	struct json_t *reply = json_new(), *out = json_put_object(reply, "return");
	struct json_t *drives = json_put_array(out, "drives");

	for (unsigned i = 0; i < mirror->n_drives; i++) {
		const struct mirrored *drive = &mirror->drives[i];
		struct json_t *line = json_add_object(drives);

		json_put_text(line, "name", drive->name);
		json_put_text(line, "target", drive->target);
		json_put_bool(line, "known", drive->known);
		json_put_number(line, "left_bytes", atomic_load(&drive->need_bytes));
	}
	return reply;
}
