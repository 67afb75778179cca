/*
 * A domain of libvirt that is made of a definition out of an archive: open before anything is
 * restored, so that what cannot be is refused in time; run once the drives are in their places.
 */
#ifndef MACHINE_LIBVIRT_DEFINE_H
#define MACHINE_LIBVIRT_DEFINE_H

#include "machine/libvirt/definition.h"

struct libvirt_define;
struct domain;

struct libvirt_define_options {
	const char *connect; /* libvirt: its URI; NULL: as for virsh */
	const char *name;    /* another name; NULL: that of the definition */
	bool same_name; /* that name may be the definition's own, and then it is no other domain */
	struct domain *connection; /* borrowed; NULL: connects */
	bool replace;		   /* a domain of the same name and UUID */
};

/* xml: untrusted. What of it is left out is told to the watcher. */
int libvirt_define_open(struct libvirt_define **out, struct text xml,
			const struct libvirt_define_options *options, const struct watcher *watcher,
			struct error *err);
/* For results: "name" is escaped for messages. Borrowed. */
const char *libvirt_define_name(const struct libvirt_define *define);
const char *libvirt_define_uuid(const struct libvirt_define *define);
/* Whether it has a disk for a drive of that name. */
bool libvirt_define_has_drive(const struct libvirt_define *define, const char *name);
bool libvirt_define_has_tpm(const struct libvirt_define *define);
/* Where the state of its TPM has to be, in a folder that is made; *out is NULL: anywhere. Borrowed.
 */
int libvirt_define_tpm(struct libvirt_define *define, const char **out, struct error *err);
int libvirt_define_run(struct libvirt_define *define, const struct placed *placed,
		       struct error *err);
void libvirt_define_close(struct libvirt_define *define); /* NULL-safe */

#endif
