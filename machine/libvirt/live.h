/*
 * A domain that runs from NBD exports while its disks are restored, and then from files that hold
 * the same. libvirt's own jobs copy and move the disks, so that it knows where they are.
 */
#ifndef MACHINE_LIBVIRT_LIVE_H
#define MACHINE_LIBVIRT_LIVE_H

#include "base/text.h"
#include "machine/libvirt/live_disks.h"

struct libvirt_live;
struct watcher;

struct libvirt_live_options {
	const char *connect; /* libvirt: its URI; NULL: as for virsh */
	const char *name;    /* of the domain */
	bool replace;	     /* the definition of a domain of that name that is off */
	const char *socket;  /* where the exports are; an absolute path */
	uint64_t rate;	     /* of copying, as pace_at takes it */
	const char *nvram;   /* absolute: where the firmware's variables are put */
};

/* What an archive has besides drives; bytes NULL: not that. Untrusted. */
struct libvirt_live_parts {
	struct text xml, nvram, vtpm;
};

/* Connects. The options and the watcher are borrowed until libvirt_live_close. */
int libvirt_live_open(struct libvirt_live **out, const struct libvirt_live_options *options,
		      const struct watcher *watcher, struct error *err);
void libvirt_live_close(struct libvirt_live *live); /* NULL-safe */

/* Finds the domain, which an earlier run may have started; or whether it can be defined. ERR_USAGE,
 * ERR_LOCKED, ERR_UNSUPPORTED: it cannot. All is borrowed until libvirt_live_close. Changes
 * nothing. */
int libvirt_live_check(struct libvirt_live *live, const struct libvirt_live_parts *parts,
		       const struct libvirt_live_drive *drives, unsigned n, struct error *err);
/* The exports are served: defines the domain and starts it, as far as that has not been done. */
int libvirt_live_start(struct libvirt_live *live, struct error *err);
/* To be called again and again: lets libvirt copy the disks, and move each once it is copied.
 * *moved: all have been, and the definition says so, too. ERR_LOCKED: the domain has ended. After
 * another error a later call may succeed. */
int libvirt_live_step(struct libvirt_live *live, uint64_t *done_bytes, bool *moved,
		      struct error *err);

#endif
