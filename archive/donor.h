/*
 * Donors: other archives and images that may still hold the clusters an archive has lost. They are
 * not trusted: a cluster is taken only if it has the checksum that the damaged archive names.
 */
#ifndef ARCHIVE_DONOR_H
#define ARCHIVE_DONOR_H

#include "archive/recovery.h"

struct donors;

/* Opens all that --donor names: NAME=IMAGE[,format=FMT] for a drive, or an archive. The targets of
 * recovery are open by now. *out can be closed even after a failure. */
int donors_open(struct donors **out, const struct recovery *recovery,
		const struct strings *arguments, struct error *err);
void donors_close(struct donors *donors);

/* Fills the lost clusters that they hold. A donor that fails is given up with a warning; the
 * clusters it gave before are good. */
int donors_ask(struct donors *donors, struct recovery *recovery, const struct watcher *watcher,
	       struct error *err);

#endif
