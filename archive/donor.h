/*
 * Donors: other archives and images that may still have what an archive has lost. Nothing of them
 * is believed: a cluster is taken only if it has the checksum that the damaged archive names.
 */
#ifndef ARCHIVE_DONOR_H
#define ARCHIVE_DONOR_H

#include "archive/rescue.h"

struct donors;

/* Opens all that --donor names: NAME=IMAGE[,format=FMT] for a drive, or an archive. *out can be
 * closed whatever comes. */
int donors_open(struct donors **out, const struct rescue *rescue, const struct strings *arguments,
		struct error *err);
void donors_close(struct donors *donors);

/* Fills what they can fill. A donor that fails is left with a warning; what it gave is good. */
int donors_ask(struct donors *donors, struct rescue *rescue, const struct watcher *watcher,
	       struct error *err);

#endif
