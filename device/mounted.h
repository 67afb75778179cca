/*
 * An archive, or the newest instant of a chain, as a folder of files: NAME.raw for each drive, and
 * the configs. They are read as they are asked for.
 */
#ifndef DEVICE_MOUNTED_H
#define DEVICE_MOUNTED_H

#include "archive/view.h"

struct mount_file;

struct mounted_options {
	struct view_options view;
	const char *folder;
	const char *overlay; /* a file or "memory", where writes go; NULL: read-only */
	/* NULL, or what is done with it by this thread, before it is unmounted again. files: those
	 * of the drives, in the archive's order. */
	int (*use)(void *context, struct view *view, const struct mount_file *files,
		   struct error *err);
	void *context; /* of use; borrowed */
};

/* Runs until the folder is unmounted, or a signal wants the end; a signal ends the process where
 * there is something to be done with it. ready, which may be NULL, is called once it is mounted.
 * Archives are read by threads that can change no files but the overlay, which is durable up to the
 * last fsync, and at the end: an error says that it is not. */
int mounted_run(const struct mounted_options *options, const struct watcher *watcher,
		void (*ready)(void), struct error *err);

#endif
