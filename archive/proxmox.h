/*
 * Archives that are named as Proxmox VE names its own, vzdump-qemu-*.vma*: its qmrestore takes them
 * only if the config qemu-server.conf has a line for each drive of the archive,
 *
 *	#qmdump#map:scsi0:drive-scsi0:STORAGE:FORMAT:
 *
 * and for no other drive. vzdump adds these lines to what it finds in /etc/pve/qemu-server.
 */
#ifndef ARCHIVE_PROXMOX_H
#define ARCHIVE_PROXMOX_H

#include "format/format.h"

struct watcher;

/* The config as it was, for proxmox_close. */
struct proxmox {
	struct archive_config *config; /* NULL: unchanged */
	struct text before;
	char *text; /* owned: what the archive has instead */
};

/* For an archive of this name whose head is about to be written: adds the lines that are missing in
 * qemu-server.conf where it has these drives, and warns if Proxmox VE will refuse the archive all
 * the same. Does nothing under other names. */
int proxmox_prepare(struct proxmox *out, struct archive *archive, const char *name,
		    const struct watcher *watcher, struct error *err);
/* Puts the config back. */
void proxmox_close(struct proxmox *proxmox);

#endif
