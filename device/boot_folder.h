/*
 * A folder in /tmp for the sockets of one run. A run that is killed leaves its own, which the next
 * one removes: whoever lives holds a lock on it.
 */
#ifndef DEVICE_BOOT_FOLDER_H
#define DEVICE_BOOT_FOLDER_H

#include "base/error.h"

struct boot_folder {
	char path[64]; /* "": there is none */
	int fd;
};

/* Removes those of dead runs of this user, too. Close *out even after an error. */
int boot_folder_make(struct boot_folder *out, struct error *err);
/* What is in it was removed before. */
void boot_folder_remove(struct boot_folder *folder);

#endif
