#include "machine/qemu/mirror_parts.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "drive/drive.h"
#include "drive/target.h"
#include "machine/mirror_target.h"
#include "machine/qemu/inventory.h"
#include "machine/qemu/migration.h"
#include "machine/qemu/mirror.h"
#include "machine/qemu/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAVE_MS      3000
#define LEAVE_STEP_MS 50

/* ---- what is wanted ---- */

static int copy_text(char **out, const char *text, struct error *err)
{
	*out = text == NULL ? NULL : strdup(text);
	return text != NULL && *out == NULL ? fail_memory(err) : 0;
}

static bool is(const char *text, const char *other)
{
	return text != NULL && strcmp(text, other) == 0;
}

static int find(const struct inventory *inventory, const char *name,
		const struct inventory_drive **out, struct error *err)
{
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		const struct inventory_drive *drive = &inventory->drives[i];

		if (is(drive->name, name) || is(drive->node, name)) {
			*out = drive;
			return 0;
		}
	}
	return fail(err, ERR_USAGE,
		    "drive '%.60s': QEMU has none of that name; vmabak qemu-drives "
		    "lists them",
		    name);
}

/* Whether QEMU goes past the page cache for a node. */
static bool is_direct(const struct inventory *inventory, const char *node)
{
	for (size_t i = 0; i < json_length(inventory->nodes); i++) {
		const struct json_t *item = json_item(inventory->nodes, i);

		if (is(json_member_text(item, "node-name"), node))
			return json_member_bool(json_member(item, "cache"), "direct");
	}
	return false;
}

static int check_target(const struct qemu_mirror *mirror, const struct mirrored *drive,
			struct error *err)
{
	struct json_t *node;

	for (unsigned i = 0; i < drive->i; i++) {
		if (strcmp(mirror->drives[i].node, drive->node) == 0)
			return fail(err, ERR_USAGE, "drive %s: named twice", drive->name);
		if (strcmp(mirror->drives[i].target, drive->target) == 0)
			return fail(err, ERR_USAGE, "%s: is the target of two drives",
				    drive->target);
	}
	if (is(mirror->state, drive->target))
		return fail(err, ERR_USAGE, "%s: is the state, and no target", drive->target);
	if (target_is_uri(drive->target)) {
		node = mirror_uri_node(drive->target, err);
		json_free(node);
		return node == NULL ? err->code : 0;
	}
	return 0;
}

/* Since a pivot to an image its node is below the drive's. */
static int take_file(struct mirrored *drive, const struct inventory *inventory,
		     const struct inventory_drive *found, struct error *err)
{
	const char *file = found->file, *format = found->format;
	char *image = mirror_name_is(found->node, NULL) ? text_make("%s-q", found->node) : NULL;

	for (size_t i = 0; image != NULL && i < json_length(inventory->nodes); i++) {
		const struct json_t *node = json_item(inventory->nodes, i);

		if (!is(json_member_text(node, "node-name"), image))
			continue;
		file = json_member_text(json_member(node, "image"), "filename");
		format = json_member_text(node, "drv");
	}
	int code = copy_text(&drive->file, file, err);
	if (code == 0)
		code = copy_text(&drive->image_format, found->has_backing ? NULL : format, err);
	free(image);
	return code;
}

static int take_drive(struct qemu_mirror *mirror, const struct inventory *inventory,
		      const struct json_t *line, bool safe, struct error *err)
{
	const char *name = json_member_text(line, "name");
	const struct inventory_drive *found = NULL;
	struct mirrored *drive = &mirror->drives[mirror->n_drives];

	if (name == NULL || json_member_text(line, "target") == NULL)
		return fail(err, ERR_USAGE, "a drive without a name or target");
	TRY(find(inventory, name, &found, err));
	if (found->read_only || found->node == NULL)
		return fail(err, ERR_USAGE, "drive %s: is read only: back it up instead", name);
	if (found->size_bytes == 0)
		return fail(err, ERR_USAGE, "drive %s: is empty", name);
	mirror->has_iothreads = mirror->has_iothreads || (found->iothread != NULL && !safe);
	drive->i = mirror->n_drives++;
	drive->id = mirror->id;
	drive->output.fd = -1;
	drive->size_bytes = found->size_bytes;
	drive->n_clusters = clusters_of(found->size_bytes);
	drive->by_node = is(found->node, found->name) && !is(found->device, found->name) &&
			 !is(found->qdev, found->name);
	drive->persistent = is(found->format, "qcow2");
	drive->direct = is_direct(inventory, found->node);
	TRY(copy_text(&drive->name, found->name, err));
	TRY(copy_text(&drive->node, found->node, err));
	TRY(take_file(drive, inventory, found, err));
	TRY(copy_text(&drive->target, json_member_text(line, "target"), err));
	TRY(copy_text(&drive->format, json_member_text(line, "format"), err));
	return check_target(mirror, drive, err);
}

static int take_drives(struct qemu_mirror *mirror, struct qmp *qmp, const struct json_t *request,
		       struct error *err)
{
	const struct json_t *lines = json_member(request, "drives");
	bool safe = qmp_outlives_clients(qmp);
	struct inventory inventory;
	int code;

	if (json_length(lines) == 0 || json_length(lines) > MIRROR_DRIVES_MAX)
		return fail(err, ERR_USAGE, "a mirror of which drives?");
	code = inventory_read(&inventory, qmp, err);
	for (size_t i = 0; i < json_length(lines) && code == 0; i++)
		code = take_drive(mirror, &inventory, json_item(lines, i), safe, err);
	inventory_free(&inventory);
	return code;
}

/* ---- what the targets have ---- */

static int prefix(const struct mirrored *drive, int code, struct error *err)
{
	if (code < 0)
		error_prefix(err, "drive %s", drive->name);
	return code;
}

static int check_known(struct qemu_mirror *mirror, struct qmp *qmp, struct mirrored *drive,
		       struct error *err)
{
	struct cluster_set set = {0};
	int code = drive->known ? bits_keep(qmp, drive, mirror->state_id, &set, err) : 0;

	cluster_set_free(&set);
	drive->known = code == 1;
	return code < 0 ? code : 0;
}

/* Not every image can keep bitmaps. */
static int add_keep(struct qemu_mirror *mirror, struct qmp *qmp, struct mirrored *drive,
		    struct error *err)
{
	char name[MIRROR_NAME_SIZE];
	struct error ignored = {0};

	TRY(bits_remove_keeps(qmp, drive->node, mirror->state_id, -1, err));
	drive->n_known = 0;
	mirror_keep_name(name, mirror->state_id, ++drive->generation);
	drive->keeps = true;
	if (!drive->persistent || bits_add(qmp, drive, name, true, &ignored) < 0) {
		drive->persistent = false;
		return bits_add(qmp, drive, name, true, err);
	}
	return 0;
}

/* A name that is mistyped must not cost what the state knows of the right one. */
static int look_at_target(const struct mirrored *drive, bool force, struct error *err)
{
	const struct mirror_target target = {
		.path = drive->target,
		.force = force || drive->ours,
		.known = drive->known,
	};

	return prefix(drive, mirror_target_look(&target, err), err);
}

static int look_at_targets(struct qemu_mirror *mirror, struct qmp *qmp, bool force,
			   struct error *err)
{
	for (unsigned i = 0; i < mirror->n_drives && mirror->state != NULL; i++) {
		TRY(check_known(mirror, qmp, &mirror->drives[i], err));
		TRY(look_at_target(&mirror->drives[i], force, err));
	}
	return 0;
}

/* What the file says from here on is that targets which will be overwritten have nothing. */
static int promise(struct qemu_mirror *mirror, struct qmp *qmp, struct error *err)
{
	if (mirror->state == NULL)
		return 0;
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		struct mirrored *drive = &mirror->drives[i];

		/* A file of others is not called ours before it was overwritten. */
		drive->inode = drive->known || drive->ours ? mirror_target_inode(drive->target) : 0;
		if (!drive->known)
			TRY(add_keep(mirror, qmp, drive, err));
		drive->keeps = true;
	}
	return qmirror_write_state(mirror, "running", err);
}

/* QEMU opens the file itself. */
static int give_away(const struct mirrored *drive, struct qmp *qmp, struct error *err)
{
	struct ucred peer;

	if (geteuid() != 0 || !qmp_peer(qmp, &peer) || peer.uid == 0)
		return 0;
	int fd = open(drive->target, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int code = fd < 0 || fchown(fd, peer.uid, peer.gid) != 0
			   ? fail_system(err, errno, "%s", drive->target)
			   : 0;
	if (fd >= 0)
		close(fd);
	return code;
}

/* A qemu-nbd of a keeper that was killed may be about to end. */
static int open_beside(struct mirrored *drive, struct mirror_target *target, struct error *err)
{
	int64_t until_ms = clock_ms() + (target->socket != NULL && drive->again ? LEAVE_MS : 0);
	int code = beside_open(&drive->output, target, err);

	while (code == ERR_LOCKED && clock_ms() < until_ms) {
		beside_close(&drive->output);
		clock_sleep_ms(LEAVE_STEP_MS);
		*err = (struct error){0};
		code = beside_open(&drive->output, target, err);
	}
	return code;
}

static int open_target(struct qemu_mirror *mirror, struct qmp *qmp, struct mirrored *drive,
		       bool force, struct error *err)
{
	struct mirror_target target = {
		.path = drive->target,
		.format = drive->format,
		.size_bytes = drive->size_bytes,
		.force = force || drive->ours,
		.known = drive->known,
		.beside = true,
	};
	char *socket = mirror_target_is_raw(&target) ? NULL : rundir_file(mirror->rundir, drive->i);
	struct stat found;

	target.socket = socket;
	drive->made = !target_is_uri(drive->target) && stat(drive->target, &found) != 0;
	int code = open_beside(drive, &target, err);
	free(socket);
	if (code < 0) {
		drive->made = false;
		return code;
	}
	drive->inode = target.inode;
	drive->fresh = target.reads_zeros;
	if (target.reads_zeros && drive->known) {
		drive->known = false;
		drive->n_known = 0;
	}
	pace_start(&drive->pace, atomic_load(&mirror->rate));
	if (drive->made)
		TRY(give_away(drive, qmp, err));
	return drive->output.socket != NULL ? image_admit(qmp, drive, err) : 0;
}

/* ---- the mirror ---- */

/* r only once the job is ready: all that it records is then certainly the job's own work. */
static int start_drive(struct qemu_mirror *mirror, struct qmp *qmp, struct mirrored *drive,
		       struct error *err)
{
	char r[MIRROR_NAME_SIZE];
	int code = 1;

	drive->has_job = true;
	if (mirror->state != NULL)
		TRY(bits_add_marker(qmp, drive, drive->node, err));
	TRY(job_start(qmp, drive, atomic_load(&mirror->rate), mirror->state != NULL, err));
	drive->has_markers = mirror->state != NULL;
	image_hide(drive);
	TRY(bits_add(qmp, drive, mirror_part(r, drive->id, drive->i, "r"), false, err));
	if (drive->known)
		code = bits_keep(qmp, drive, mirror->state_id, &drive->need, err);
	if (code == 0)
		return fail(err, ERR_SYSTEM, "another program has changed a bitmap of the mirror");
	if (code < 0)
		return code;
	if (!drive->known)
		drive->n_known = 0;
	if (drive->n_known < drive->n_clusters)
		TRY(cluster_set_include(&drive->need, drive->n_known,
					drive->n_clusters - drive->n_known, err));
	atomic_store(&drive->need_bytes, qmirror_count(drive, 0) * CLUSTER_SIZE);
	return 0;
}

static int open_from(struct qemu_mirror *mirror, struct mirrored *drive, struct error *err)
{
	const struct drive_options how = {.format = "raw", .hold = held_hold(mirror)};
	char name[MIRROR_NAME_SIZE];
	char *uri = rundir_uri(mirror->server != NULL ? mirror->server : mirror->rundir,
			       mirror_name(name, mirror->id, drive->i));
	int code = uri == NULL ? fail_memory(err) : drive_open(&drive->from, uri, &how, err);

	free(uri);
	return code;
}

/* To open a file may empty it, of which the state must not say any more then that it has anything;
 * to open an export changes nothing. So exports come before what is promised. */
static int open_targets(struct qemu_mirror *mirror, struct qmp *qmp, bool force, bool exports,
			struct error *err)
{
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		struct mirrored *drive = &mirror->drives[i];

		if (target_is_uri(drive->target) == exports)
			TRY(prefix(drive, open_target(mirror, qmp, drive, force, err), err));
	}
	return 0;
}

static int start_all(struct qemu_mirror *mirror, struct qmp *qmp, bool force, struct error *err)
{
	TRY(look_at_targets(mirror, qmp, force, err));
	TRY(open_targets(mirror, qmp, force, true, err));
	TRY(promise(mirror, qmp, err));
	TRY(open_targets(mirror, qmp, force, false, err));
	/* The inodes of new files. */
	TRY(qmirror_write_state(mirror, "running", err));
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		struct mirrored *drive = &mirror->drives[i];

		TRY(prefix(drive, start_drive(mirror, qmp, drive, err), err));
	}
	TRY(held_start(mirror, err));
	TRY(exports_start(qmp, mirror, err));
	for (unsigned i = 0; i < mirror->n_drives; i++)
		TRY(open_from(mirror, &mirror->drives[i], err));
	return 0;
}

/* What was known before is as true as it was. */
static void undo(struct qemu_mirror *mirror, struct qmp *qmp)
{
	struct error ignored;

	held_stop(mirror,
		  mirror_clean(qmp, mirror->serves ? mirror->rundir : NULL, NULL, &ignored) == 0);
	for (unsigned i = 0; i < mirror->n_drives; i++)
		drive_close(mirror->drives[i].from);
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		struct mirrored *drive = &mirror->drives[i];

		if (!drive->known && drive->keeps && qmp_works(qmp))
			bits_remove_keeps(qmp, drive->node, mirror->state_id, -1, &ignored);
		beside_close(&drive->output);
		if (drive->made)
			unlink(drive->target);
	}
}

static int begin(struct qemu_mirror *mirror, struct qmp *qmp, const struct json_t *request,
		 struct error *err)
{
	TRY(migration_check(qmp, err));
	/* What a keeper that was killed has left. */
	TRY(mirror_clean(qmp, mirror->rundir, NULL, err));
	TRY(take_drives(mirror, qmp, request, err));
	TRY(qmirror_read_state(mirror, err));
	if (start_all(mirror, qmp, json_member_bool(request, "force"), err) == 0)
		return 0;
	undo(mirror, qmp);
	return err->code;
}

int qmirror_begin(struct qemu_mirror *mirror, const struct json_t *request, struct error *err)
{
	uint64_t rate = 0;
	struct qmp *qmp;

	json_member_number(request, "rate", &rate);
	atomic_store(&mirror->rate, rate);
	TRY(copy_text(&mirror->state, json_member_text(request, "state"), err));
	TRY(copy_text(&mirror->server, json_member_text(request, "server"), err));
	TRY(qmp_open(&qmp, mirror->place, err));
	int code = mirror_check_answers(qmp, err);
	if (code == 0)
		code = begin(mirror, qmp, request, err);
	qmp_close(qmp);
	return code;
}
