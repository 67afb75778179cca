/*
 * The next archive of a machine in a folder of chains: its name, and whether it is full or stands
 * on which parent.
 */
#ifndef ARCHIVE_FOLDER_NEXT_H
#define ARCHIVE_FOLDER_NEXT_H

#include "archive/folder_lock.h"

struct watcher;

struct folder_options {
	const char *folder, *machine;
	const char *full_every; /* "30", "4w"; NULL: FOLDER_FULL_EVERY */
	uint64_t lock_wait;	/* seconds */
};

#define FOLDER_FULL_EVERY "30"

struct folder_next {
	char *path;	      /* owned */
	char *parent;	      /* owned; NULL: a full archive */
	const char *why_full; /* when there is no parent; static */
	struct folder_lock lock;
};

/* Judges the options. The folder must be there: where a disk is not mounted none is made. */
int folder_check(const struct folder_options *options, struct error *err);
/* Takes the lock of the machine's chain, removes what killed runs left, and chooses. Archives that
 * should be there and cannot be used are warnings. *out can be closed even after a failure. */
int folder_next_open(struct folder_next *out, const struct folder_options *options,
		     const struct watcher *watcher, struct error *err);
void folder_next_close(struct folder_next *next);

#endif
