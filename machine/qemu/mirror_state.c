/*
 * The state of a mirror of a QEMU: a file of one JSON object, that says what each target has. It
 * never promises more than what is durable there.
 */
#include "machine/qemu/mirror_parts.h"

#include "machine/mirror_file.h"
#include "machine/mirror_target.h"

#include <string.h>

#define STATE_VERSION 1

static struct mirrored *find_drive(struct qemu_mirror *mirror, const char *name)
{
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		if (strcmp(mirror->drives[i].name, name) == 0)
			return &mirror->drives[i];
	}
	return NULL;
}

/* It counts for the same target alone: for another file under its name there is none. */
static int parse_drive(struct qemu_mirror *mirror, const struct json_t *line, struct error *err)
{
	const char *name = json_member_text(line, "name"),
		   *target = json_member_text(line, "target");
	uint64_t size_bytes, generation, inode, n_clusters;
	struct mirrored *drive;

	if (name == NULL || target == NULL ||
	    !json_member_number(line, "size_bytes", &size_bytes) ||
	    !json_member_number(line, "generation", &generation) || generation > 1000000000 ||
	    !json_member_number(line, "inode", &inode) ||
	    !json_member_number(line, "n_clusters", &n_clusters))
		return mirror_file_foreign(mirror->state, err);
	drive = find_drive(mirror, name);
	if (drive == NULL)
		return fail(err, ERR_USAGE,
			    "%s: is of a mirror that has drive %.127s, too; another file for "
			    "another mirror",
			    mirror->state, name);
	drive->generation = (unsigned)generation;
	drive->again = strcmp(target, drive->target) == 0;
	if (strcmp(target, drive->target) != 0 || inode != mirror_target_inode(target) ||
	    size_bytes != drive->size_bytes || n_clusters > drive->n_clusters)
		return 0;
	const struct mirror_target found = {
		.path = target,
		.format = drive->format,
		.size_bytes = size_bytes,
	};
	drive->known = n_clusters > 0 && !mirror_target_resized(&found);
	drive->n_known = drive->known ? n_clusters : 0;
	drive->ours = inode != 0 && n_clusters == 0;
	return 0;
}

static int parse(struct qemu_mirror *mirror, const struct json_t *state, struct error *err)
{
	const struct json_t *lines = json_member(state, "drives");
	const char *id = json_member_text(state, "id");
	uint64_t version;

	if (!json_member_number(state, "vmabak_mirror_qemu", &version) || id == NULL ||
	    strspn(id, "0123456789abcdef") != RUN_ID_SIZE - 1 || strlen(id) != RUN_ID_SIZE - 1)
		return mirror_file_foreign(mirror->state, err);
	if (version != STATE_VERSION)
		return fail(err, ERR_UNSUPPORTED, "%s: is of version %llu, which is not known here",
			    mirror->state, (unsigned long long)version);
	memcpy(mirror->state_id, id, RUN_ID_SIZE);
	for (size_t i = 0; i < json_length(lines); i++)
		TRY(parse_drive(mirror, json_item(lines, i), err));
	return 0;
}

int qmirror_read_state(struct qemu_mirror *mirror, struct error *err)
{
	struct json_t *state = NULL;

	run_id_make(mirror->state_id);
	if (mirror->state != NULL)
		TRY(mirror_file_read(mirror->state, &state, err));
	int code = state == NULL ? 0 : parse(mirror, state, err);
	json_free(state);
	return code;
}

/* ---- writing ---- */

static struct json_t *make_object(const struct qemu_mirror *mirror, const char *phase)
{
	struct json_t *object = json_make("{s:i, s:s, s:s}", "vmabak_mirror_qemu", STATE_VERSION,
					  "id", mirror->state_id, "phase", phase);
	struct json_t *lines = json_put_array(object, "drives");

	for (unsigned i = 0; i < mirror->n_drives; i++) {
		const struct mirrored *drive = &mirror->drives[i];
		struct json_t *line = json_add_object(lines);

		json_put_text(line, "name", drive->name);
		json_put_text(line, "drive", drive->file);
		json_put_text(line, "target", drive->target);
		json_put_number(line, "size_bytes", drive->size_bytes);
		json_put_number(line, "inode", drive->inode);
		json_put_number(line, "generation", drive->generation);
		json_put_number(line, "n_clusters", drive->n_known);
	}
	return object;
}

int qmirror_write_state(const struct qemu_mirror *mirror, const char *phase, struct error *err)
{
	return mirror->state == NULL
		       ? 0
		       : mirror_file_write(mirror->state, make_object(mirror, phase), true, err);
}
