/*
 * backup --track: the checkpoint in libvirt that a backup leaves for the next one, and what those
 * of earlier backups tell. libvirt keeps a bitmap of its name in each disk that can have one, which
 * records from the backup's instant on.
 *
 * The checkpoint is made in the instant of the backup. If the backup fails it is removed; when the
 * archive is durable it becomes good, and the parent's is removed. No checkpoint but ours is
 * touched.
 */
#ifndef MACHINE_LIBVIRT_TRACK_H
#define MACHINE_LIBVIRT_TRACK_H

#include "machine/libvirt/description.h"
#include "machine/machine.h"

struct domain;
struct libvirt_track;

/* Of a domain that runs. All is borrowed until the end, and since of the disks is set. */
int libvirt_track_new(struct libvirt_track **out, struct domain *domain, struct domain_disks *disks,
		      const struct watcher *watcher, struct error *err);
void libvirt_track_free(struct libvirt_track *track); /* NULL-safe */

/* ---- before the instant ---- */

/* The backup is to leave a checkpoint. Tells of disks that cannot have one. */
void libvirt_track_want(struct libvirt_track *track, const uint8_t *uuid);
const char *libvirt_track_token(const struct libvirt_track *track, uint32_t i);
/* The checkpoint's name; NULL: none is made. */
const char *libvirt_track_name(const struct libvirt_track *track);
/* Removes what dead runs have left, and finds out which checkpoints are of use. */
int libvirt_track_look(struct libvirt_track *track, const struct machine_since *since,
		       struct error *err);
/* The description of the checkpoint that is to be made; *out: owned, NULL: none. socket: of the
 * run. */
int libvirt_track_text(const struct libvirt_track *track, const char *socket, char **out,
		       struct error *err);
/* libvirt has refused: true: not all that was asked of it is needed, and less will be asked now. */
bool libvirt_track_yield(struct libvirt_track *track, const struct error *err);

/* ---- after it ---- */

/* Why what changed in a disk is not known; NULL: it is, by the bitmap that the backup exports. */
const char *libvirt_track_unknown(const struct libvirt_track *track, uint32_t i);
/* In how many disks the new checkpoint records. */
unsigned libvirt_track_count(const struct libvirt_track *track);
/* The archive is durable. */
int libvirt_track_good(struct libvirt_track *track, struct error *err);
/* After that: removes the parents' checkpoints, unless they are to be kept, and broken ones. */
void libvirt_track_tidy(struct libvirt_track *track, bool keep_parents);

#endif
