/*
 * What the keeper says of a mirror.
 */
#include "machine/qemu/mirror_parts.h"

#include "base/json.h"

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
