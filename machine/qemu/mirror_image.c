/*
 * A target that is an image, as a qcow2: it has one writer. So while drives are copied it is
 * a qemu-nbd's, of which both QEMU and we are clients; what we flush there is all that both wrote.
 * It ends with the keeper, so the guest must not be led to it. Before a pivot QEMU opens the image
 * itself:
 *
 *	T (raw) -> nbd          all jobs are paused; nothing is written to any target
 *	T -> null-co            QEMU has hung up; qemu-nbd closes the image, and ends
 *	T -> qcow2 -> file      the jobs go on
 *
 * Below null-co nothing that is written would be found again. If the keeper is killed there, the
 * job is paused, and keep knows of all writes.
 */
#include "machine/qemu/mirror_parts.h"

#include "base/clock.h"
#include "base/json.h"
#include "drive/drive.h"
#include "drive/qemuimg.h"
#include "machine/qemu/qmp.h"

#include <string.h>
#include <unistd.h>

#define PAUSE_MS 2000
#define STEP_MS	 2

/* ---- at the beginning ---- */

/* Whether QEMU may open the file, asked while another has it. */
static int try_file(struct qmp *qmp, const struct mirrored *drive, bool direct, struct error *err)
{
	struct json_t *node = job_file_node(drive, direct);
	char name[MIRROR_NAME_SIZE];

	json_put_text(node, "node-name", mirror_part(name, drive->id, drive->i, "q"));
	json_put_text(node, "locking", "off");
	TRY(qmp_execute(qmp, NULL, err, "blockdev-add", "o", node));
	return qmp_execute(qmp, NULL, err, "blockdev-del", "{s:s}", "node-name", name);
}

int image_admit(struct qmp *qmp, struct mirrored *drive, struct error *err)
{
	struct error ignored = {0};
	gid_t group;

	if (qmp_group(qmp, &group))
		TRY(rundir_open(drive->output.socket, group, err));
	drive->target_direct = drive->direct && try_file(qmp, drive, true, &ignored) == 0;
	return drive->target_direct ? 0 : try_file(qmp, drive, false, err);
}

void image_hide(struct mirrored *drive)
{
	if (drive->output.socket != NULL)
		unlink(drive->output.socket);
}

/* ---- before a pivot ---- */

static int tell_all(struct qmp *qmp, const struct qemu_mirror *mirror, const char *command,
		    struct error *err)
{
	char name[MIRROR_NAME_SIZE];

	for (unsigned i = 0; i < mirror->n_drives; i++) {
		if (mirror->drives[i].has_job)
			TRY(qmp_post(qmp, err, command, "{s:s}", "device",
				     mirror_name(name, mirror->id, i)));
	}
	return qmp_settle(qmp, NULL, err);
}

static int await_paused(struct qmp *qmp, const struct qemu_mirror *mirror, struct error *err)
{
	int64_t until_ms = clock_ms() + PAUSE_MS;

	for (;;) {
		bool all = true;

		for (unsigned i = 0; i < mirror->n_drives; i++) {
			struct job_look found;

			TRY(job_look(qmp, &mirror->drives[i], &found, err));
			all = all && found.paused;
		}
		if (all)
			return 0;
		if (clock_ms() > until_ms)
			return fail(err, ERR_SYSTEM,
				    "the targets gave no answer within %d s; the mirror goes on",
				    PAUSE_MS / 1000);
		clock_sleep_ms(STEP_MS);
	}
}

/* QEMU flushes what is below T, in its main loop. */
static int reopen(struct qmp *qmp, const struct mirrored *drive, const char *file, bool direct,
		  struct error *err)
{
	char name[MIRROR_NAME_SIZE];
	struct json_t *node =
		json_make("{s:s, s:s, s:s, s:{s:b}, s:s}", "driver", "raw", "node-name",
			  mirror_name(name, drive->id, drive->i), "discard", "unmap", "cache",
			  "direct", direct, "file", file);

	if (drive->output.wide)
		json_put_number(node, "size", drive->size_bytes);
	return qmp_execute(qmp, NULL, err, "blockdev-reopen", "{s:[o]}", "options", node);
}

static int add_nothing(struct qmp *qmp, const struct mirrored *drive, const char *name,
		       struct error *err)
{
	struct json_t *node = json_make("{s:s, s:s}", "driver", "null-co", "node-name", name);

	json_put_number(node, "size", drive->size_bytes);
	return qmp_execute(qmp, NULL, err, "blockdev-add", "o", node);
}

static int add_image(struct qmp *qmp, const struct mirrored *drive, const char *name,
		     struct error *err)
{
	struct json_t *file = job_file_node(drive, drive->target_direct);

	json_put_text(file, "discard", "unmap");
	return qmp_execute(qmp, NULL, err, "blockdev-add", "{s:s, s:s, s:s, s:{s:b}, s:o}",
			   "driver", image_format_given(drive->target, drive->format, NULL),
			   "node-name", name, "discard", "unmap", "cache", "direct",
			   drive->target_direct, "file", file);
}

static int hand_over(struct qmp *qmp, struct mirrored *drive, struct error *err)
{
	char nothing[MIRROR_NAME_SIZE], image[MIRROR_NAME_SIZE];
	int sys = beside_flush(&drive->output);

	if (sys != 0)
		return fail_system(err, sys, "the target: flushing");
	mirror_part(nothing, drive->id, drive->i, "n");
	mirror_part(image, drive->id, drive->i, "q");
	TRY(add_nothing(qmp, drive, nothing, err));
	TRY(reopen(qmp, drive, nothing, false, err));
	drive_close(drive->output.drive);
	drive->output.drive = NULL;
	drive->output.handed = true;
	TRY(add_image(qmp, drive, image, err));
	TRY(reopen(qmp, drive, image, drive->target_direct, err));
	return qmp_execute(qmp, NULL, err, "blockdev-del", "{s:s}", "node-name", nothing);
}

/* Its job goes on no more: below null-co it would seem to be in sync. */
static int give_up(struct qemu_mirror *mirror, struct qmp *qmp, struct mirrored *drive,
		   struct error *err)
{
	struct error ignored;

	error_prefix(err, "QEMU could not take over the image");
	qmirror_fail(mirror, drive, err);
	drive->has_job = false;
	job_end(qmp, drive, &ignored);
	error_prefix(err, "drive %s", drive->name);
	return err->code;
}

static int hand_over_all(struct qemu_mirror *mirror, struct qmp *qmp, struct error *err)
{
	struct error ignored;
	int code = tell_all(qmp, mirror, "block-job-pause", err);

	if (code == 0)
		code = await_paused(qmp, mirror, err);
	for (unsigned i = 0; i < mirror->n_drives && code == 0; i++) {
		struct mirrored *drive = &mirror->drives[i];

		if (drive->output.socket == NULL || drive->output.handed)
			continue;
		code = hand_over(qmp, drive, err);
		if (code != 0)
			code = give_up(mirror, qmp, drive, err);
	}
	if (tell_all(qmp, mirror, "block-job-resume", code == 0 ? err : &ignored) < 0 && code == 0)
		code = err->code;
	return code;
}

int images_hand_over(struct qemu_mirror *mirror, struct error *err)
{
	struct qmp *qmp;
	bool any = false;

	for (unsigned i = 0; i < mirror->n_drives; i++)
		any = any ||
		      (mirror->drives[i].output.socket != NULL && !mirror->drives[i].output.handed);
	if (!any)
		return 0;
	TRY(qmp_open(&qmp, mirror->place, err));
	int code = hand_over_all(mirror, qmp, err);
	qmp_close(qmp);
	return code;
}
