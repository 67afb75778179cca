/*
 * backup --changed and --used: lists of what changed in a drive since the parent's instant, and of
 * what its file system uses.
 */
#ifndef CLI_GROUP_CHANGES_H
#define CLI_GROUP_CHANGES_H

#include "archive/changes.h"
#include "cli/command.h"

struct create;
struct drive;
struct machine_description;
struct sweep;

struct change_options {
	struct strings changed; /* NAME=LIST[,...] */
	struct strings used;	/* the same */
};

extern const struct option_spec change_specs[];

/* What may have changed in each drive of a backup. */
struct drive_changes {
	struct changes **of;		 /* owned, a drive each; NULL: read all of it */
	const struct cluster_set **sets; /* the same for the sweep */
	struct changes **used;		 /* owned, a drive each; NULL: nothing is left out */
	uint32_t n_drives;
};

/* Reads the lists, each of which must be of a drive. Free *out even after an error. */
int drive_changes_read(struct drive_changes *out, const struct change_options *options,
		       const struct machine_description *description, bool has_parent,
		       struct error *err);
/* Once the drives are open: leaves out of them what is not in use. */
int drive_changes_leave_out(const struct drive_changes *changes, struct create *create,
			    struct drive *const *drives, struct error *err);
/* After the proof: of drives whose list holds, by create->marks, the archive gets nothing else, and
 * the pass, if there is one, reads nothing else. */
void drive_changes_use(struct drive_changes *changes, struct create *create, struct sweep *sweep);
void drive_changes_free(struct drive_changes *changes);

#endif
