/*
 * A domain of libvirt: its description, and the backup job that it can have. domain.c alone
 * knows libvirt's library.
 *
 * Calls wait for libvirt, which may take half a minute when the domain is busy. One thread.
 */
#ifndef MACHINE_LIBVIRT_DOMAIN_H
#define MACHINE_LIBVIRT_DOMAIN_H

#include "base/error.h"

#include <sys/types.h>

struct domain;

/* uri: NULL: libvirt's default. The domain must run on this host, as its files are needed.
 * ERR_USAGE: there is no such domain. */
int domain_open(struct domain **out, const char *uri, const char *name, struct error *err);
void domain_close(struct domain *domain); /* NULL-safe */

/* Its name, escaped for messages. Borrowed. */
const char *domain_shown(const struct domain *domain);
int domain_runs(struct domain *domain, bool *out, struct error *err);
/* As it runs, or as it would be started the next time. Without passwords. Owned by the caller. */
int domain_description(struct domain *domain, bool next_time, char **out, struct error *err);
/* What the guest sees of a disk, in bytes. */
int domain_disk_size(struct domain *domain, const char *target, uint64_t *out, struct error *err);
/* The group that its QEMU runs as; false: not known, or it runs as us. */
bool domain_group(struct domain *domain, gid_t *out);

/* The description of the backup that runs; *out is NULL when there is none. Owned by the caller. */
int domain_backup(struct domain *domain, char **out, struct error *err);
/* ERR_LOCKED when a job of another kind runs. */
int domain_backup_begin(struct domain *domain, const char *xml, struct error *err);
/* Ends the backup that runs, whoever started it, and waits for its end. */
int domain_backup_end(struct domain *domain, struct error *err);
/* Bytes of the scratch files of a backup; 0: not known. QEMU itself answers this. */
uint64_t domain_backup_scratch(struct domain *domain);

/* By the guest agent. *n: of how many file systems. */
int domain_freeze(struct domain *domain, unsigned *n, struct error *err);
int domain_thaw(struct domain *domain, struct error *err);

#endif
