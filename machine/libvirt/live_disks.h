/*
 * Where the disks of a live restore are, by the description of the domain. Private to
 * machine/libvirt/.
 */
#ifndef MACHINE_LIBVIRT_LIVE_DISKS_H
#define MACHINE_LIBVIRT_LIVE_DISKS_H

#include "base/error.h"

struct libvirt_live_drive {
	const char *name; /* of the export */
	const char *file; /* raw; an absolute path */
};

struct live_disk {
	char *target;	/* owned; NULL: the domain has it at neither place */
	bool is_file;	/* it has moved; else it is at the export */
	bool is_copied; /* a job is at it */
	bool is_ready;	/* and has copied all; what is written goes to both */
};

/* out: one for each drive, all zeros at first; to be freed even after an error. */
int live_disks_find(struct live_disk *out, const char *xml, const char *socket,
		    const struct libvirt_live_drive *drives, unsigned n, struct error *err);
void live_disks_free(struct live_disk *disks, unsigned n);

/* For libvirt: the place of a copy. Owned; NULL: no memory. */
char *live_disk_copy(const struct libvirt_live_drive *drive);

#endif
