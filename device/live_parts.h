/*
 * A live restore, for live.c and live_open.c.
 */
#ifndef DEVICE_LIVE_PARTS_H
#define DEVICE_LIVE_PARTS_H

#include "device/drives.h"
#include "device/live_file.h"
#include "device/live_fill.h"
#include "device/live_options.h"

struct serve;

struct live {
	const struct live_options *options;
	const struct watcher *watcher;
	struct serve_options serving;
	struct view *view;
	struct restore_plan plan;
	uint32_t n;			/* drives that are restored: of each */
	struct device_drive *drives;	/* owned */
	struct live_file *files;	/* owned */
	struct live_fill_drive *filled; /* owned */
	struct serve_given *given;	/* owned */
	struct live_target *targets;	/* owned */
	struct live_fill fill;
	struct serve *serve;
	uint64_t drive_bytes;
	bool has_progress, complete, shown, moved;
	uint64_t n_come;      /* clients so far */
	bool started;	      /* a machine may be at the exports */
	bool held;	      /* the machine is at them, and could not be moved */
	int64_t try_ms;	      /* when the machine is asked again, by clock_ms */
	int64_t idle_ms;      /* until when the last client may come back */
	uint64_t wait_ms;     /* and after how long then */
	struct error refusal; /* why the machine does not move; told once */
};

/* What is open after an error is the caller's to close. */
int live_open_all(struct live *live, struct error *err);
uint64_t live_missing_bytes(const struct live *live);

#endif
