/*
 * What vmabak needs of libvirt's XML. description.c alone knows libxml2.
 */
#ifndef MACHINE_LIBVIRT_DESCRIPTION_H
#define MACHINE_LIBVIRT_DESCRIPTION_H

#include "machine/options.h"
#include "base/error.h"

/* All texts owned. */
struct domain_disk {
	char *name;   /* in the archive: the target, or what the user says */
	char *target; /* "vda" */
	char *source; /* file or device; NULL: it is neither, or there is no medium */
	bool is_file; /* the source is one */
	char *image;  /* source, or the URI of an NBD export: what a domain that is off leaves to be
			 read; NULL: pool and volume, or obstacle */
	char *format; /* of the image, as QEMU calls it */
	char *backing;	     /* the backing file that the definition states; "": none; NULL: that
				which the image names */
	char *pool, *volume; /* both, or NULL */
	char *obstacle;	     /* why the image cannot be read without the domain, or NULL */
	bool chosen;
	bool by_default;   /* a disk, not read-only, not shared */
	bool decrypted;	   /* its image is encrypted, and the machine has the key */
	bool kept;	   /* what is written to it stays: neither read-only nor transient */
	const char *since; /* borrowed: the checkpoint that is asked for what changed; NULL: none */
};

/* A TPM that libvirt has swtpm emulate. */
struct domain_tpm {
	bool is_there;
	bool is_1_2;  /* else 2.0 */
	bool in_file; /* place is the file itself, not a folder */
	char *place;  /* owned: where the definition keeps its state; NULL: in libvirt's folder */
};

struct domain_disks {
	struct domain_disk *disks; /* owned */
	unsigned n;
	struct domain_disk *others; /* owned: once some were chosen, the others of the domain */
	unsigned n_others;
	char *nvram; /* owned: the file with the firmware's variables, or NULL */
	char *uuid;  /* owned, or NULL */
	struct domain_tpm tpm;
	bool has_iothreads; /* or may have */
};

/* Of the description of a domain. *out is always safe to free, even after a
 * failure. */
int domain_disks_parse(struct domain_disks *out, const char *xml, struct error *err);
void domain_disks_free(struct domain_disks *disks);
/* Leaves those that are named, each as [NAME=]TARGET, in that order; with nothing named those that
 * are meant by default. None is an error. */
int domain_disks_choose(struct domain_disks *disks, const struct strings *wanted,
			struct error *err);

/* The socket of the NBD server of a backup, from the backup's description. Owned; NULL: none, or no
 * memory. */
char *backup_socket(const char *xml);
/* Where the scratch file of a disk goes: scratch, or if that is NULL beside the image. Owned; NULL:
 * that is not a file, or there is no memory. */
char *scratch_folder(const struct domain_disk *disk, const char *scratch);
/* That file, in a run of that id. Owned; NULL as above. */
char *scratch_file(const struct domain_disk *disk, const char *scratch, const char *id);
/* Removes those files of all disks, which libvirt has left if it died. The job is not there any
 * more. */
void scratch_files_remove(const struct domain_disks *disks, const char *scratch, const char *id);
/* The description of a backup of all disks; scratch: as above; id: of the run. Owned; NULL: no
 * memory. */
char *backup_description(const struct domain_disks *disks, const char *socket, const char *scratch,
			 const char *id);

#endif
