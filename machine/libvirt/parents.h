/*
 * The checkpoints that earlier backups have left in libvirt: which of them tell what changed since.
 */
#ifndef MACHINE_LIBVIRT_PARENTS_H
#define MACHINE_LIBVIRT_PARENTS_H

#include "machine/libvirt/checkpoint.h"
#include "machine/libvirt/domain.h"
#include "machine/machine.h"

struct domain_disk;
struct libvirt_track;

/* The number of the file that a disk lies in; 0: it is none. */
uint64_t libvirt_parents_inode(const struct domain_disk *disk);

/* 1: *out is it; 0: there is none. Free *out in any case. */
int libvirt_parents_find(struct domain *domain, const char *name, enum checkpoint_view view,
			 struct libvirt_checkpoint *out, struct error *err);
/* Sets since of each disk whose parent's checkpoint is of use, and of the others why it is not. */
void libvirt_parents_look(struct libvirt_track *track, const struct machine_since *since);

#endif
