/*
 * Proof that archives are whole and intact, one after the other.
 */
#ifndef ARCHIVE_VERIFY_H
#define ARCHIVE_VERIFY_H

#include "archive/open.h"

struct watcher;

/* What a user may say about it. */
struct verify_options {
	struct strings archives;
	bool quick; /* check what is stored without decompressing it */
	bool chain;
	struct strings folders;
	/* with chain: where parents are looked for, too */ /* archives are the newest and,
							       if need be, its parents: see
							       verify_chain.h */
	uint64_t threads;				    /* 0: one a processor */
	uint64_t rate;					    /* bytes a second, 0: no limit */
};

/* Reads the rest of the i-th archive, and checks all of it. */
int verify_run(struct opened_archive *opened, const struct verify_options *options, unsigned i,
	       const struct watcher *watcher, struct error *err);

#endif
