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
	unsigned rules;	   /* that keep it, as in enum keep_rule */
	bool is_needed;	   /* an archive that is kept stands on it */
	bool is_pinned;	   /* one stands on it that nothing is merged into */
	bool is_mergeable; /* with the option it is merged */
	bool is_merged;	   /* into those that need it, and not kept */
	bool is_in_use;	   /* a run that was there meanwhile needs it */
	bool is_locked;	   /* the store does not let it be removed yet */
	bool is_copy;	   /* there is another one with its uuid */
	bool is_kept;	   /* for these reasons, or as it is protected, or not whole */
	bool is_going;	   /* to be removed next */
	bool was_removed;
};

struct prune {
	const struct prune_options *options; /* borrowed */
	const char *machine;		     /* borrowed */
	struct folder_lock lock;
	struct folder *folder;	  /* borrowed */
	struct prune_item *items; /* owned: of the machine, oldest first */
	unsigned n;
};

/* Locks the machine's chains, reads again what changed in the folder, and decides. What is not
 * whole is kept, as nobody knows what it is good for, and counts for no rule; copies of an archive
 * are kept together and count as one. machine: not of the folder, which is to stay until the end.
 * *out can be closed even after an error. */
int prune_open(struct prune *out, const struct prune_options *options, struct folder *folder,
	       const char *machine, struct error *err);
/* Removes, each archive before what it stands on and each durably: so a run that ends anywhere
 * leaves chains that are whole. Before what is merged is removed it is merged. What came meanwhile
 * counts: an archive stays, then, that was protected, that another run needs (archive/in_use.h), or
 * that a new one stands on. Removes also what is left of runs that were killed; sums without an
 * archive stay, as they may be a parent. What a store has locked stays, with what it stands on.
 * Nothing with dry_run. */
int prune_apply(struct prune *prune, const struct watcher *watcher, struct error *err);
void prune_close(struct prune *prune);

#endif
