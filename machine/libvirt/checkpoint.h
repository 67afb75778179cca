/*
 * The descriptions of our checkpoints in libvirt, and how one is removed.
 *
 * One that a backup has made is pending until its archive is durable: its description says so, with
 * the run that may yet complete it. A pending one is nobody's parent, and who finds one whose run
 * is dead removes it.
 */
#ifndef MACHINE_LIBVIRT_CHECKPOINT_H
#define MACHINE_LIBVIRT_CHECKPOINT_H

#include "base/error.h"

struct domain;

struct libvirt_checkpoint_disk {
	char *target;  /* owned */
	bool recorded; /* by a bitmap of the checkpoint's name */
	bool sound;    /* QEMU has the bitmap, and it records; of a description with sizes */
	uint64_t changed_bytes; /* if it is sound */
};

struct libvirt_checkpoint {
	struct libvirt_checkpoint_disk *disks; /* owned */
	unsigned n;
	uint64_t created_s; /* since 1970 */
	bool good;	    /* the archive of its backup became durable */
	char *pending;	    /* owned: the socket of its run; NULL: it is not pending */
};

/* *out is always safe to free. */
int libvirt_checkpoint_parse(struct libvirt_checkpoint *out, const char *xml, struct error *err);
void libvirt_checkpoint_free(struct libvirt_checkpoint *checkpoint);
/* NULL: it is not one of its disks. */
const struct libvirt_checkpoint_disk *
libvirt_checkpoint_disk(const struct libvirt_checkpoint *checkpoint, const char *target);

/* The description of one. Of a disk each of n targets that are not NULL; pending: as above, or
 * NULL: it is good; again: libvirt has lost it. Owned; NULL: no memory. */
char *libvirt_checkpoint_text(const char *name, const char *const *targets, unsigned n,
			      const char *pending, bool again);
/* The same that is good. Owned; NULL: no memory, or no such description. */
char *libvirt_checkpoint_text_good(const char *xml);

/* Removes it, with those of its bitmaps that QEMU has. Of a domain that is off, or has no such
 * checkpoint, nothing, which is no error. */
int libvirt_checkpoint_remove(struct domain *domain, const char *name, struct error *err);

#endif
