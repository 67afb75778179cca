/*
 * The checkpoints that earlier backups have left in libvirt: which of them tell what changed since.
 */
#ifndef MACHINE_LIBVIRT_PARENTS_H
#define MACHINE_LIBVIRT_PARENTS_H

#include "base/identity.h"
#include "machine/libvirt/checkpoint.h"
#include "machine/libvirt/domain.h"
#include "machine/machine.h"

struct domain_disk;
struct libvirt_track;

/* The identity of the file or device that a disk lies in; empty: it is none. */
void libvirt_parents_image(char out[IDENTITY_SIZE], const struct domain_disk *disk);

/* 1: *out is it; 0: there is none. Free *out in any case. */
int libvirt_parents_find(struct domain *domain, const char *name, enum checkpoint_view view,
			 struct libvirt_checkpoint *out, struct error *err);
/* Sets since of each disk whose parent's checkpoint is of use, and of the others why it is not. */
void libvirt_parents_look(struct libvirt_track *track, const struct machine_since *since);
/* The same of all disks by the name of a checkpoint. ERR_USAGE: it is of no use for one. */
int libvirt_parents_named(struct libvirt_track *track, const char *name, struct error *err);

#endif
