/*
 * A salvage: find where the archive begins, or read it twice when its head is not there; then one
 * pass over the archive, and the donors.
 */
#ifndef ARCHIVE_RESCUE_H
#define ARCHIVE_RESCUE_H

#include "archive/donor.h"
#include "archive/recovery.h"
#include "archive/rescue_chain.h"

struct input;

struct rescue {
	const struct rescue_options *options; /* borrowed */
	const struct watcher *watcher;	      /* borrowed */
	uint8_t uuid[UUID_SIZE];
	struct input *input;
	struct salvage *salvage;
	const struct archive *archive; /* NULL: not found yet */
	struct recovery recovery;
	struct rescue_chain chain; /* of the parents that were named */
	struct donors *donors;
	struct error ended; /* code != 0: why the archive could not be read to its end */
	bool moved;	    /* the head is not at the beginning */
};

/* Confines the process once all is open. *out can be closed even after a failure. */
int rescue_run(struct rescue *out, const struct rescue_options *options,
	       const struct watcher *watcher, struct error *err);
/* Whether the archive has lost, or may have lost, data of a drive that was asked for, or its
 * parents hold some that were not named. */
bool rescue_lost_data(const struct rescue *rescue);
/* done: rescue_run succeeded; else what has no name yet is removed. */
void rescue_close(struct rescue *rescue, bool done);

#endif
