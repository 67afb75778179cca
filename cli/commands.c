#include "cli/commands.h"

/* A new command is a file with its row, and two lines here. */
extern const struct command command_backup, command_serve, command_export, command_test,
	command_status, command_stop, command_restore, command_list, command_config, command_verify,
	command_convert, command_salvage, command_merge, command_sums, command_diff,
	command_changes, command_prune, command_checkpoint, command_mirror, command_copy,
	command_qemu_drives, command_guard, command_keeper, command_help, command_completion,
	command_commands;

const struct command *const commands[] = {
	&command_backup,
	&command_serve,
	&command_status,
	&command_stop,
	&command_export,
	&command_test,
	&command_restore,
	&command_list,
	&command_config,
	&command_verify,
	&command_convert,
	&command_merge,
	&command_salvage,
	&command_sums,
	&command_diff,
	&command_changes,
	&command_prune,
	&command_checkpoint,
	&command_mirror,
	&command_copy,
	&command_qemu_drives,
	&command_guard,
	&command_keeper,
	&command_help,
	&command_completion,
	&command_commands,
	NULL,
};
