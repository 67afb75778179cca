#ifndef CLI_BACKUP_IMAGES_H
#define CLI_BACKUP_IMAGES_H

#include "cli/backup.h"

struct report;

/* Backs up the drives that the arguments name. Returns the exit code. */
int backup_images(const struct backup_options *options, struct report *report);

#endif
