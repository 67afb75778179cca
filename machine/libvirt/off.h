/*
 * A domain that is off: its images, read like any drives that are named one by one, and locked
 * meanwhile against a QEMU that would write to them.
 */
#ifndef MACHINE_LIBVIRT_OFF_H
#define MACHINE_LIBVIRT_OFF_H

#include "machine/libvirt/description.h"
#include "machine/machine.h"

struct domain;
struct libvirt_off;

/* domain, disks and options are borrowed until the end. A disk whose image cannot be reached
 * without the domain is ERR_USAGE; a domain that has been started meanwhile ERR_LOCKED. */
int libvirt_off_open(struct libvirt_off **out, struct domain *domain,
		     const struct domain_disks *disks, const struct machine_options *options,
		     const struct watcher *watcher, struct error *err);
/* The drives alone. */
void libvirt_off_describe(const struct libvirt_off *off, struct machine_description *out);
/* As in machine/machine.h. A domain that has been started while its images were read is an error
 * of finish. */
int libvirt_off_begin(struct libvirt_off *off, struct error *err);
int libvirt_off_drive(struct libvirt_off *off, uint32_t i, struct drive **out, struct error *err);
int libvirt_off_finish(struct libvirt_off *off, struct error *err);
void libvirt_off_end(struct libvirt_off *off); /* NULL-safe */

#endif
