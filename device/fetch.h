/*
 * Gets a file or a folder out of a file system by the program that keeps most of it: debugfs where
 * it can read that, else grub-fstest. Private to device/.
 */
#ifndef DEVICE_FETCH_H
#define DEVICE_FETCH_H

#include "base/error.h"
#include "device/peek_result.h"

struct tree;
struct watcher;

struct fetch {
	const char *image;  /* the drive */
	const char *device; /* as grub-fstest names it: "(loop0,gpt1)" */
	const char *path;   /* "/..." */
	const char *place;  /* of the file system, for messages */
	uint64_t most_bytes;
	struct tree *tree; /* takes a folder; NULL: a file is wanted */
	int fd;		   /* takes that */
	bool seekable;
	const struct watcher *watcher;
};

int fetch_run(struct peek_result *result, const struct fetch *fetch, struct error *err);

#endif
