/*
 * What a user may say about a backup, and a backup of any source.
 */
#ifndef CLI_BACKUP_H
#define CLI_BACKUP_H

#include "archive/create.h"
#include "cli/command.h"
#include "cli/group_changes.h"
#include "cli/group_increment.h"
#include "machine/options.h"

struct machine_kind;

struct backup_options {
	struct common_options common;
	struct create_options create;
	struct head_options head;
	struct strings config_files; /* [NAME=]FILE */
	struct machine_options machine;
	struct change_options changes;
	struct increment_choice increment;
};

/* Returns the exit code. */
int backup_machine(const struct machine_kind *kind, const struct backup_options *options,
		   struct report *report);

#endif
