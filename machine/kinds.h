/*
 * The kinds of machine.
 */
#ifndef MACHINE_KINDS_H
#define MACHINE_KINDS_H

#include "machine/machine.h"

extern const struct machine_kind machine_images;  /* drives named one by one */
extern const struct machine_kind machine_push;	  /* QEMU's jobs save, and push to us */
extern const struct machine_kind machine_pull;	  /* QEMU keeps a snapshot, which we read */
extern const struct machine_kind machine_libvirt; /* the same, by libvirt; only if built with it */
extern const struct machine_kind machine_serve;	  /* our own server in the guest's way */

#endif
