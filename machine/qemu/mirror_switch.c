#include "machine/qemu/mirror_switch.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "drive/qemuimg.h"
#include "machine/guard.h"
#include "machine/mirror_target.h"
#include "machine/qemu/mirror.h"
#include "machine/qemu/qmp.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define END_MS	30000
#define STEP_US 500

/* ---- one instant ---- */

struct looks {
	unsigned n_pending, n_concluded;
	const char *name; /* of a drive whose job failed; NULL: none */
	char error[200];
};

static int look_at_all(struct qmp *qmp, const struct qemu_mirror *mirror, struct looks *out,
		       struct error *err)
{
	struct job_look found;

	*out = (struct looks){0};
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		TRY(job_look(qmp, &mirror->drives[i], &found, err));
		out->n_pending += found.pending;
		out->n_concluded += found.concluded || !found.there;
		if (out->name != NULL ||
		    (found.there && (!found.concluded || found.error[0] == '\0')))
			continue;
		out->name = mirror->drives[i].name;
		memcpy(out->error, found.error, sizeof(out->error));
	}
	return 0;
}

static int fail_job(const struct looks *looks, struct error *err)
{
	return fail(err, ERR_SYSTEM, "drive %s: QEMU's job failed: %s", looks->name,
		    looks->error[0] == '\0' ? "it is gone" : looks->error);
}

static int tell_all(struct qmp *qmp, const struct qemu_mirror *mirror, const char *command,
		    const char *key, struct error *err)
{
	char name[MIRROR_NAME_SIZE];

	for (unsigned i = 0; i < mirror->n_drives; i++)
		TRY(qmp_post(qmp, err, command, "{s:s}", key, mirror_name(name, mirror->id, i)));
	return qmp_settle(qmp, NULL, err);
}

/* The guest's requests wait from the first job's being pending on. */
static int await_pending(struct qmp *qmp, const struct qemu_mirror *mirror, struct error *err)
{
	int64_t until_ms = clock_ms() + MIRROR_PENDING_MS;
	struct looks looks;

	for (;;) {
		TRY(look_at_all(qmp, mirror, &looks, err));
		if (looks.n_concluded > 0)
			return looks.name != NULL ? fail_job(&looks, err)
						  : fail(err, ERR_SYSTEM, "QEMU's job has ended");
		if (looks.n_pending == mirror->n_drives)
			return 0;
		if (clock_ms() > until_ms)
			return fail(err, ERR_SYSTEM,
				    "the targets did not get there within %d ms, for which the "
				    "guest would have had to wait",
				    MIRROR_PENDING_MS);
		clock_sleep_until_ns(clock_ns() + STEP_US * 1000);
	}
}

static int await_end(struct qmp *qmp, const struct qemu_mirror *mirror, struct error *err)
{
	int64_t until_ms = clock_ms() + END_MS;
	struct looks looks;

	for (;;) {
		TRY(look_at_all(qmp, mirror, &looks, err));
		if (looks.n_concluded == mirror->n_drives)
			return looks.name != NULL ? fail_job(&looks, err) : 0;
		if (clock_ms() > until_ms)
			return fail(err, ERR_SYSTEM, "QEMU's jobs do not end");
		clock_sleep_until_ns(clock_ns() + STEP_US * 1000);
	}
}

static int finalize(struct qmp *qmp, struct qemu_mirror *mirror, struct guard *guard,
		    struct error *err)
{
	guard_tell(guard, GUARD_PENDING, -1);
	TRY(tell_all(qmp, mirror, "job-finalize", "id", err));
	return await_end(qmp, mirror, err);
}

int switch_all(struct qmp *qmp, struct qemu_mirror *mirror, struct guard *guard, bool pivot,
	       struct error *err)
{
	int64_t begun_ns = clock_ns();
	struct error ignored = {0};
	int code;

	guard_tell(guard, GUARD_BEGINS, -1);
	code = pivot ? tell_all(qmp, mirror, "job-complete", "id", err)
		     : tell_all(qmp, mirror, "block-job-cancel", "device", err);
	if (code == 0)
		code = await_pending(qmp, mirror, err);
	if (code == 0) {
		code = finalize(qmp, mirror, guard, err);
		if (code != 0 && pivot)
			error_append(err, "; drives may be at their targets already: QEMU's "
					  "query-block tells");
	} else {
		job_end_all(qmp, &ignored);
	}
	mirror->standstill_ns = (uint64_t)(clock_ns() - begun_ns);
	return code;
}

int switch_guard(struct guard **out, const struct qemu_mirror *mirror, struct error *err)
{
	const struct machine_options options = {.place = mirror->place};

	return guard_start(out, "qemu", &options, mirror->id, err);
}

/* ---- in the guard ---- */

int mirror_release(struct qmp *qmp, const char *id, bool finalize_all, struct error *err)
{
	struct json_t *jobs;
	struct error ignored;

	TRY(qmp_execute(qmp, &jobs, err, "query-jobs", NULL));
	for (size_t i = 0; i < json_length(jobs) && qmp_works(qmp); i++) {
		const char *name, *status;

		if (!json_read(json_item(jobs, i), "{s:s, s:s}", "id", &name, "status", &status) ||
		    !mirror_name_is(name, id) || strcmp(status, "concluded") == 0)
			continue;
		if (finalize_all && strcmp(status, "pending") == 0)
			qmp_post(qmp, &ignored, "job-finalize", "{s:s}", "id", name);
		else if (!finalize_all)
			qmp_post(qmp, &ignored, "job-cancel", "{s:s}", "id", name);
	}
	json_free(jobs);
	if (qmp_settle(qmp, NULL, &ignored) < 0 && !qmp_works(qmp))
		*err = ignored;
	return err->code;
}

/* ---- the way back ---- */

/* The drive as it is after a pivot. */
static struct mirrored turned(const struct mirrored *drive, char name[MIRROR_NAME_SIZE])
{
	struct mirrored back = *drive;

	back.node = mirror_name(name, drive->id, drive->i);
	back.persistent = false;
	return back;
}

int switch_prepare_way_back(struct qmp *qmp, const struct qemu_mirror *mirror,
			    const struct mirrored *drive, struct error *err)
{
	char name[MIRROR_NAME_SIZE], keep[MIRROR_NAME_SIZE];
	struct mirrored back = turned(drive, name);

	TRY(bits_remove_keeps(qmp, back.node, mirror->state_id, -1, err));
	mirror_keep_name(keep, mirror->state_id, drive->generation + 1);
	return bits_add(qmp, &back, keep, true, err);
}

static bool is_durable(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool durable = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return durable;
}

static bool remove_node(struct qmp *qmp, const char *name)
{
	struct error ignored;

	return qmp_execute(qmp, NULL, &ignored, "blockdev-del", "{s:s}", "node-name", name) == 0;
}

/* The node of an image that was the target of an earlier pivot is below the drive's. */
static bool close_image(struct qmp *qmp, const char *node)
{
	bool closed = remove_node(qmp, node);
	char *image;

	if (!mirror_name_is(node, NULL))
		return closed;
	image = text_make("%s-q", node);
	closed = image != NULL && remove_node(qmp, image);
	free(image);
	return closed;
}

/* QEMU closes the old drive, where nothing else uses it. A file can be the next target, if it will
 * be opened as what it is. */
void switch_way_back(struct qmp *qmp, const struct qemu_mirror *mirror, struct mirrored *drive)
{
	char name[MIRROR_NAME_SIZE];
	char r[MIRROR_NAME_SIZE], *file = drive->file;
	struct mirrored back = turned(drive, name);
	struct error ignored;
	const char *format = drive->image_format;
	bool again = file != NULL && *file == '/' && format != NULL &&
		     strcmp(image_format_given(file, NULL, NULL), format) == 0;

	bits_remove(qmp, drive, mirror_part(r, drive->id, drive->i, "r"), &ignored);
	bits_remove_keeps(qmp, drive->node, mirror->state_id, -1, &ignored);
	if (!close_image(qmp, drive->node))
		again = again && strcmp(format, "raw") == 0;
	drive->generation++;
	drive->n_known = again && is_durable(file) ? drive->n_clusters : 0;
	if (drive->n_known == 0)
		bits_remove_keeps(qmp, back.node, mirror->state_id, -1, &ignored);
	/* A drive without a device is called as its node. */
	if (drive->by_node) {
		free(drive->name);
		drive->name = text_make("%s", back.node);
	}
	drive->file = drive->target;
	drive->target = file;
	drive->inode = file == NULL ? 0 : mirror_target_inode(file);
}
