/*
 * The drives of a serve as they were at one instant, for NBD clients to read while guests go on,
 * with what changed since a checkpoint as a bitmap. Nothing is copied but what guests overwrite
 * meanwhile: that goes to a scratch file without a name. One in a process.
 */
#ifndef MACHINE_SERVE_SNAPSHOT_H
#define MACHINE_SERVE_SNAPSHOT_H

#include "machine/options.h"
#include "machine/serve/options.h"

struct snapshot;
struct watcher;

struct snapshot_options {
	struct machine_options machine; /* place, drives, buffer, freezing; scratch: a folder;
					   since: a checkpoint; NULL: no bitmap */
	struct serve_options serve;	/* where NBD clients come; nothing else */
};

/* ERR_USAGE: they do not fit together. */
int snapshot_check(const struct snapshot_options *options, struct error *err);

/* The instant; from here on clients are served. Options and watcher are borrowed until the end. */
int snapshot_open(struct snapshot **out, const struct snapshot_options *options,
		  const struct watcher *watcher, struct error *err);
/* Until a signal wants the end, 0, or the snapshot is lost: negative. */
int snapshot_wait(struct snapshot *snapshot, struct error *err);
void snapshot_close(struct snapshot *snapshot); /* NULL-safe */

#endif
