#include "cli/commands.h"

#include <limits.h>
#include <string.h>

const struct option_spec common_specs[] = {
	{"quiet", 'q', OPTION_FLAG, OPTION_FIELD(common_options, quiet),
	 .help = "say nothing but warnings and errors"},
	{"verbose", 'v', OPTION_FLAG, OPTION_FIELD(common_options, verbose), .help = "say more"},
	{"json", 0, OPTION_FLAG, OPTION_FIELD(common_options, json),
	 .help = "print the result as one JSON object"},
	{"progress", 0, OPTION_CHOICE, OPTION_FIELD(common_options, progress), .argument = "WHEN",
	 .choices = "auto always never",
	 .help = "show progress: auto (on a terminal), always or never"},
	{"progress-fd", 0, OPTION_NUMBER, OPTION_FIELD(common_options, progress_fd),
	 .argument = "N", .max = INT_MAX,
	 .help = "write lines PERCENT/100 to file descriptor N"},
	{"help", 'h', OPTION_FLAG, OPTION_FIELD(common_options, help),
	 .help = "print this and exit"},
	OPTIONS_END,
};

const struct plain_options plain_defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec program_specs[] = {
	{"help", 'h', OPTION_FLAG, OPTION_FIELD(program_options, common.help),
	 .help = "print this and exit"},
	{"version", 'V', OPTION_FLAG, OPTION_FIELD(program_options, version),
	 .help = "print the version, features and libraries, and exit"},
	{"json", 0, OPTION_FLAG, OPTION_FIELD(program_options, common.json),
	 .help = "print the version as one JSON object"},
	OPTIONS_END,
};

static const struct program_options program_defaults = {.common = {COMMON_DEFAULTS}};

const struct command command_none = {
	.name = "vmabak",
	.usage = "COMMAND [OPTION]... [ARGUMENT]...",
	.help = "Back up the drives of virtual machines into one archive, and restore them.\n",
	.groups = {{"Options", program_specs, 0}},
	COMMAND_DEFAULTS(program_defaults),
	.max_arguments = UINT_MAX,
};

/* A new command is a file with its row, and two lines here. */
extern const struct command command_serve, command_status, command_stop,
	command_restore, command_list, command_config, command_verify, command_convert,
	command_salvage, command_qemu_drives, command_qemu_guard, command_libvirt_guard,
	command_libvirt_freeze, command_help, command_completion, command_commands;

const struct command *const commands[] = {
	&command_backup,
	&command_serve,
	&command_status,
	&command_stop,
	&command_restore,
	&command_list,
	&command_config,
	&command_verify,
	&command_convert,
	&command_salvage,
	&command_qemu_drives,
	&command_qemu_guard,
	&command_libvirt_guard,
	&command_libvirt_freeze,
	&command_help,
	&command_completion,
	&command_commands,
	NULL,
};

const struct command *commands_find(const char *name)
{
	for (const struct command *const *command = commands; *command != NULL; command++) {
		if (strcmp((*command)->name, name) == 0)
			return *command;
	}
	return NULL;
}
