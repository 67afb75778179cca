/*
 * What a user may say about a backup.
 */
#ifndef CLI_BACKUP_H
#define CLI_BACKUP_H

#include "archive/create.h"
#include "cli/command.h"
#include "machine/options.h"

struct backup_options {
	struct common_options common;
	struct create_options create;
	struct head_options head;
	struct strings config_files; /* [NAME=]FILE */
	struct machine_options machine;
};

#endif
