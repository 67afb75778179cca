/*
 * What changed in the drives that are tracked; of the track of track.h, which may be NULL.
 */
#ifndef MACHINE_QEMU_TRACK_SINCE_H
#define MACHINE_QEMU_TRACK_SINCE_H

#include "base/error.h"

struct machine_changes;
struct machine_since;
struct track;

/* Before prepare: as machine_kind has it. A map that was found wrong begins anew. */
int track_changes_now(struct track *track, uint32_t i, const struct machine_since *since,
		      struct machine_changes *out, struct error *err);
/* The same; or after the instant, of a pull, and then only track_commit asks QEMU for it. */
void track_distrust(struct track *track, uint32_t i);
/* After the instant: as machine_kind has it. */
int track_changes(const struct track *track, uint32_t i, struct machine_changes *out,
		  struct error *err);

#endif
