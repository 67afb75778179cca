/*
 * What the archives of a chain hold of the newest one's drives, as they are gone through from the
 * newest on. Source: spec/vmab.md, section 5.2.
 */
#ifndef ARCHIVE_LAYERS_H
#define ARCHIVE_LAYERS_H

#include "base/clusterset.h"
#include "format/format.h"

struct layers {
	const struct archive *newest; /* borrowed */
	/* Owned, each for the drives of the newest. held: what the links so far held, to which the
	 * caller adds. n_left: how many clusters they can have left to the next: a drive that one
	 * of them lacks, or has smaller, was held in full, or from there on, by a newer one. */
	struct cluster_set *held;
	uint64_t *n_left;
	uint32_t *drive_of; /* owned: of each drive of the link begun last, its number in the
			       newest; n_drives of that: none */
};

/* Close *out even after an error. */
int layers_open(struct layers *out, const struct archive *newest, struct error *err);
/* Goes on to a link, the newest first. */
int layers_begin(struct layers *layers, const struct archive *link, struct error *err);
/* How many clusters of a slot of the link, from its first on, can be the newest archive's if no
 * newer link held them. *drive: of which of its drives. */
uint64_t layers_wanted(const struct layers *layers, const struct slot *slot, uint32_t *drive);
/* ERR_INCOMPLETE if a cluster of a drive of the newest is held by no link that must be: any, or
 * with part, if the oldest link is incremental too, any that it cannot have left to its parent.
 * name: of the newest. */
int layers_check_drive(const struct layers *layers, uint32_t drive, const char *name, bool part,
		       struct error *err);
/* The same for all its drives. */
int layers_check(const struct layers *layers, const char *name, bool part, struct error *err);
void layers_close(struct layers *layers);

#endif
