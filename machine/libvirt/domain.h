/*
 * A domain of libvirt: its description, and the backup job and the checkpoints that it can have.
 * domain_private.h alone knows libvirt's library.
 *
 * Calls wait for libvirt, which may take half a minute when the domain is busy. One thread.
 */
#ifndef MACHINE_LIBVIRT_DOMAIN_H
#define MACHINE_LIBVIRT_DOMAIN_H

#include "base/error.h"

#include <sys/types.h>

struct domain;

/* uri: NULL: libvirt's default. The domain must run on this host, as its files are needed.
 * name: or its UUID, or the ID that it has while it runs. ERR_USAGE: there is no such domain. */
int domain_open(struct domain **out, const char *uri, const char *name, struct error *err);
/* A connection without a domain, only for the functions that say so, and domain_is_in_session. */
int domain_connect(struct domain **out, const char *uri, struct error *err);
void domain_close(struct domain *domain); /* NULL-safe */
/* Whether libvirt is still at the other end. */
bool domain_is_connected(struct domain *domain);
/* Of a connection: from here on it is that of this domain, if there is one. */
int domain_find(struct domain *domain, const char *name, bool *found, struct error *err);

/* Of a connection: whether a domain may be defined by that name and UUID. One that has both may be
 * replaced, if it is off. ERR_USAGE, ERR_LOCKED: it may not. */
int domain_check_new(struct domain *domain, const char *name, const char *uuid, bool replace,
		     struct error *err);
/* Of a connection: defines it. */
int domain_define(struct domain *domain, const char *xml, struct error *err);

/* Its name, escaped for messages. Borrowed. */
const char *domain_shown(const struct domain *domain);
int domain_runs(struct domain *domain, bool *out, struct error *err);
/* Whether it is off with its memory saved (virsh managedsave): it goes on from there, and has not
 * shut down. False if that is not known. */
bool domain_was_saved(struct domain *domain);
/* Whether that libvirt is a user's own (qemu:///session). */
bool domain_is_in_session(struct domain *domain);
/* The path of a volume of a storage pool. Owned by the caller. */
int domain_volume(struct domain *domain, const char *pool, const char *volume, char **out,
		  struct error *err);
/* As it runs, or as it would be started the next time. Without passwords. Owned by the caller. */
int domain_description(struct domain *domain, bool next_time, char **out, struct error *err);
/* What the guest sees of a disk, in bytes: when the size of one was asked for the first time. */
int domain_disk_size(struct domain *domain, const char *target, uint64_t *out, struct error *err);
/* The group that its QEMU runs as; false: not known, or it runs as us. */
bool domain_group(struct domain *domain, gid_t *out);

/* The description of the backup that runs; *out is NULL when there is none. Owned by the caller. */
int domain_backup(struct domain *domain, char **out, struct error *err);
/* checkpoint: of one that is made in the same instant, or NULL. ERR_LOCKED when a job of another
 * kind runs; ERR_UNSUPPORTED: a checkpoint that xml names is not there, or of no use. Then nothing
 * has begun or was made. */
int domain_backup_begin(struct domain *domain, const char *xml, const char *checkpoint,
			struct error *err);
/* Ends the backup that runs, whoever started it, and waits for its end. */
int domain_backup_end(struct domain *domain, struct error *err);
/* Bytes of the scratch files of a backup; 0: not known. QEMU itself answers this. */
uint64_t domain_backup_scratch(struct domain *domain);

/* ---- disks that move while it runs (domain_move.c) ---- */

int domain_start(struct domain *domain, struct error *err);
/* If it stands still because a request to a disk failed: it asks again. */
int domain_go_on(struct domain *domain, struct error *err);
/* A job of QEMU copies a disk to another place, and what is written meanwhile, too. xml: the other
 * place. rate: bytes a second; 0: no limit. */
int domain_copy_begin(struct domain *domain, const char *target, const char *xml, uint64_t rate,
		      struct error *err);
int domain_copy_limit(struct domain *domain, const char *target, uint64_t rate, struct error *err);
/* How many bytes it has copied. */
int domain_copy_look(struct domain *domain, const char *target, uint64_t *done, struct error *err);
/* Once all is there: the disk is the copy. *moved: it was not too early. */
int domain_copy_end(struct domain *domain, const char *target, bool *moved, struct error *err);
/* Of a connection: who machines run as there; false: as we do, or it is not known. */
bool domain_owner(struct domain *domain, uid_t *user, gid_t *group);

/* ---- checkpoints (domain_checkpoint.c) ---- */

enum checkpoint_view {
	CHECKPOINT_SIZES, /* of a domain that runs: with what its bitmaps name */
	CHECKPOINT_WHOLE, /* as it is to be given to domain_checkpoint_redefine */
};

/* *out: its description, owned by the caller; NULL: there is no such checkpoint. */
int domain_checkpoint(struct domain *domain, const char *name, enum checkpoint_view view,
		      char **out, struct error *err);
/* Tells libvirt what a checkpoint is that it has, or has lost. validate: only if the domain runs
 * and has its bitmaps, all of them sound. */
int domain_checkpoint_redefine(struct domain *domain, const char *xml, bool validate,
			       struct error *err);
/* With its bitmaps, of a domain that runs and has them (ERR_UNSUPPORTED: it lacks some); or what
 * libvirt knows of it alone. One that is not there is no error. */
int domain_checkpoint_delete(struct domain *domain, const char *name, bool known_alone,
			     struct error *err);
/* Calls back with the name of each, which may be deleted then, until an error. */
int domain_checkpoints(struct domain *domain,
		       int (*one)(void *context, const char *name, struct error *err),
		       void *context, struct error *err);

/* By the guest agent. *n: of how many file systems. ERR_UNSUPPORTED: the guest was not asked, so
 * there is nothing to thaw. */
int domain_freeze(struct domain *domain, unsigned *n, struct error *err);
int domain_thaw(struct domain *domain, struct error *err);

#endif
