/*
 * Removing the archives of a machine that no rule keeps, without breaking a chain.
 */
#ifndef ARCHIVE_PRUNE_H
#define ARCHIVE_PRUNE_H

#include "archive/folder.h"
#include "archive/folder_lock.h"
#include "archive/keep.h"

struct watcher;

struct prune_options {
	const char *folder;
	struct keep_options keep;
	uint64_t lock_wait; /* seconds */
	bool dry_run;	    /* nothing is locked and nothing removed */
	/* What is kept only because another one needs it is merged into the oldest of those that
	 * need it, and removed. */
	bool merge;
};

struct prune_item {
	struct folder_archive *archive;
	unsigned rules; /* that keep it, as in enum keep_rule */
	bool is_needed; /* an archive that is kept stands on it */
	bool is_pinned; /* one stands on it that nothing is merged into */
	bool is_merged; /* into those that need it, and not kept */
	bool is_kept;	/* for these reasons, or as it is protected, or not whole */
	bool was_removed;
};

struct prune {
	const struct prune_options *options; /* borrowed */
	const char *machine;		     /* borrowed */
	struct folder_lock lock;
	struct folder folder;
	struct prune_item *items; /* owned: of the machine, oldest first */
	unsigned n;
};

/* Locks the machine's chains and decides. What is not whole is kept, as nobody knows what it is
 * good for, and counts for no rule. *out can be closed even after an error. */
int prune_open(struct prune *out, const struct prune_options *options, const char *machine,
	       struct error *err);
/* Removes, each archive before what it stands on and each durably: so a run that ends anywhere
 * leaves chains that are whole. Before what is merged is removed it is merged. Removes also what is
 * left of runs that were killed; sums without an archive stay, as they may be a parent. Nothing
 * with dry_run.
 */
int prune_apply(struct prune *prune, const struct watcher *watcher, struct error *err);
void prune_close(struct prune *prune);

#endif
