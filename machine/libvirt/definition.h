/*
 * The definition of a domain as it comes out of an archive, made fit to be defined on this host.
 *
 * It is untrusted: whoever made the archive may have had another host, or bad intentions, and
 * libvirt does as root what a definition says. So only known parts stay, none of which names a
 * file, device or program of this host; those that do are put in by this program: drives and
 * firmware variables that were restored. definition_confine.c has the list.
 */
#ifndef MACHINE_LIBVIRT_DEFINITION_H
#define MACHINE_LIBVIRT_DEFINITION_H

#include "machine/libvirt/description.h"

struct definition;
struct watcher;

/* A drive where the restore put it. */
struct placed_drive {
	const char *name;   /* in the archive */
	const char *path;   /* absolute */
	const char *format; /* as QEMU calls it */
	bool is_device;
	const char *socket; /* absolute, or NULL: it is no file, but an NBD export of its name */
};

/* What was restored. Files are absolute paths, or NULL: libvirt makes new ones. */
struct placed {
	const struct placed_drive *drives;
	unsigned n;
	const char *nvram; /* with the firmware's variables */
	const char *tpm;   /* with the state of a TPM that has it in a file */
};

/* Checks that it is the definition of a domain, with a name, and confines it: what is left out is
 * told to the watcher. */
int definition_parse(struct definition **out, struct text xml, const struct watcher *watcher,
		     struct error *err);
void definition_free(struct definition *definition); /* NULL-safe */

const char *definition_name(const struct definition *definition);
const char *definition_uuid(const struct definition *definition);
/* Its TPM, whose place is NULL: libvirt's own folder, or with in_file what definition_place puts
 * in. */
const struct domain_tpm *definition_tpm(const struct definition *definition);

/* Another domain: a new UUID, and libvirt chooses new MAC addresses and a new generation ID. */
int definition_rename(struct definition *definition, const char *name, struct error *err);

/* Whether the domain has a disk for that drive. */
bool definition_has(const struct definition *definition, const char *drive);

/* Puts drives in the place of those that it names, and drops all other disks. */
int definition_place(struct definition *definition, const struct placed *placed, struct error *err);

/* As XML; owned, NULL: no memory. */
char *definition_text(const struct definition *definition);

#endif
