/*
 * What a user may say about a backup, and a backup of any source.
 */
#ifndef CLI_BACKUP_H
#define CLI_BACKUP_H

#include "archive/create.h"
#include "archive/folder_next.h"
#include "cli/command.h"
#include "cli/group_changes.h"
#include "cli/group_increment.h"
#include "cli/group_track.h"
#include "machine/options.h"

struct machine_kind;

struct backup_options {
	struct common_options common;
	struct create_options create;
	struct head_options head;
	struct folder_options to;
	struct strings config_files; /* [NAME=]FILE */
	struct machine_options machine;
	struct change_options changes;
	struct increment_choice increment;
	struct track_options track;
};

/* Returns the exit code. */
int backup_machine(const struct machine_kind *kind, const struct backup_options *options,
		   struct report *report);

/* What --parent, --sums and --to demand of each other and of other options. */
int backup_check_chain(const struct backup_options *options, struct error *err);
/* The same for --to: the archive gets its name and its parent by what is in the folder. */
int backup_to(const struct machine_kind *kind, const struct backup_options *options,
	      struct report *report);

#endif
