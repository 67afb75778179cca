/*
 * Folders and files by grub-fstest. Private to device/.
 */
#ifndef DEVICE_GRUB_FOLDER_H
#define DEVICE_GRUB_FOLDER_H

#include "device/entry.h"

struct grub_folder {
	const char *image;  /* the drive; borrowed, as is the next */
	const char *device; /* "(loop0)" */
};

/* A line of its long listing. False: it is none, or of a name that cannot be used. */
bool grub_folder_line(const char *line, size_t n, struct file_entry *out);
void grub_folder_reader(struct grub_folder *folder, struct entry_reader *out);

#endif
