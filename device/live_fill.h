/*
 * Fills drives with what the archive has, in the background. Private to device/.
 */
#ifndef DEVICE_LIVE_FILL_H
#define DEVICE_LIVE_FILL_H

#include "base/pace.h"
#include "device/drives.h"

#include <pthread.h>
#include <stdatomic.h>

struct watcher;

/* One drive that is filled; all borrowed. */
struct live_fill_drive {
	const struct device_drive *drive;
	/* Where its data lies, from byte 0 on; only to have it written to the disk early, as errors
	 * of that are lost to whoever uses it too; -1: none. */
	int fd;
};

struct live_fill {
	const struct live_fill_drive *drives; /* borrowed */
	uint32_t n_drives;
	const struct watcher *watcher;
	uint64_t rate;	/* as pace_parse makes it */
	int64_t due_ms; /* its thread's: when what it wrote was due, by clock_ms */
	void *room;	/* owned: for what is read */
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* guards ends */
	pthread_cond_t changed;
	bool ends;
	bool told_full;			/* its thread's */
	_Atomic uint64_t covered_bytes; /* up to where this pass has come */
	_Atomic uint64_t written_bytes; /* of data, in all passes */
	_Atomic uint64_t damaged_bytes; /* of the last pass: the archive does not have them */
	atomic_bool filled;		/* nothing is missing */
};

/* Starts the thread; rate: bytes a second, 0: no limit. What cannot be read or written is tried
 * again until live_fill_end. The struct must not move. Close *out even after an error. */
int live_fill_start(struct live_fill *out, const struct live_fill_drive *drives, uint32_t n_drives,
		    uint64_t rate, const struct watcher *watcher, struct error *err);
void live_fill_end(struct live_fill *fill);

#endif
