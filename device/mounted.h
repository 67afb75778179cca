/*
 * An archive, or the newest instant of a chain, as a folder of files: NAME.raw for each drive, and
 * the configs. They are read as they are asked for.
 */
#ifndef DEVICE_MOUNTED_H
#define DEVICE_MOUNTED_H

#include "archive/view.h"

struct mounted_options {
	struct view_options view;
	const char *folder;
};

/* Runs until the folder is unmounted, or a signal wants the end. ready is called once it is
 * mounted. Archives are read by threads that can change no files. */
int mounted_run(const struct mounted_options *options, const struct watcher *watcher,
		void (*ready)(void), struct error *err);

#endif
