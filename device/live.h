/*
 * A restore during which the machine runs: the drives of an archive are served by NBD, what guests
 * write goes to the new disks, which are filled in the background, and then the machine moves to
 * them. An end in between, of whatever kind, loses nothing: the same call goes on.
 */
#ifndef DEVICE_LIVE_H
#define DEVICE_LIVE_H

#include "device/live_options.h"

struct live;

struct live_counts {
	uint64_t drive_bytes, archive_bytes;
	uint64_t written_bytes; /* what was filled with data since live_open */
	bool moved;		/* a machine did */
};

/* From here on clients are served, and signals end what live_run waits for. The process gives up
 * access to files that it does not need before it reads the archives. The options and the watcher,
 * which is told from any thread, are borrowed until live_close. */
int live_open(struct live **out, const struct live_options *options, const struct watcher *watcher,
	      struct error *err);
/* Until the machine has moved; without one, until all is there and no client has been
 * there for 20 s after the last one; or until a client of the control socket or a signal wants the
 * end. An error if not all is there then: ERR_DAMAGED if the archive is to blame. */
int live_run(struct live *live, struct error *err);
/* After success of live_run, gives the targets their names for good. */
int live_close(struct live *live, struct error *err);

const struct view *live_view(const struct live *live);
const struct restore_plan *live_plan(const struct live *live);
struct live_counts live_counts(const struct live *live);

#endif
