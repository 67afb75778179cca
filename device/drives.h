/*
 * The drives of an archive that is looked into. Private to device/.
 */
#ifndef DEVICE_DRIVES_H
#define DEVICE_DRIVES_H

#include "archive/view.h"
#include "drive/given.h"
#include "machine/serve/options.h"

struct device_drive {
	struct view *view; /* borrowed */
	uint32_t number;
	char name[4 * 255 + 1]; /* harmless */
	struct drive *drive;	/* owned */
};

/* Sets up all but drive, and returns what the archive has. The struct must not move then. */
struct drive_content device_drive_content(struct device_drive *drive, struct view *view,
					  uint32_t number);

struct device_drives {
	struct device_drive *of;   /* owned */
	struct serve_given *given; /* owned: the same, to be served */
	uint32_t n;
};

struct overlay_store;

/* overlay: NULL, or takes what is written to them; else nothing can be. Borrowed. Close *out even
 * after an error. */
int device_drives_open(struct device_drives *out, struct view *view, struct overlay_store *overlay,
		       struct error *err);
void device_drives_close(struct device_drives *drives);

#endif
