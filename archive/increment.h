/*
 * What an increment need not read: the change lists of its drives, proved, and the marks that its
 * head gets of them.
 */
#ifndef ARCHIVE_INCREMENT_H
#define ARCHIVE_INCREMENT_H

#include "archive/proof.h"

struct create;

struct increment_options {
	struct proof_options proof;
	bool require; /* a drive that the parent lacks is an error */
};

/* Tokens of the drives, where their lists tell of the instant they end with. changes: NULL for a
 * drive without a list; borrowed until create_open. */
int increment_tokens(struct create *create, struct changes *const *changes, struct error *err);

/* Which lists can be used at all: refuses those of another lineage, and, if that is demanded,
 * drives that the parent lacks. After create_prepare, which found one. */
int increment_check(const struct create *create, struct changes *const *changes,
		    const struct increment_options *options, const struct watcher *watcher,
		    struct error *err);
/* Before the instant: proves what the tracker of a drive tells by now, which the list has. What it
 * tells of the instant is for increment_prove; if that has to be read in full, create->marks says
 * PROOF_WRONG. PROOF_NONE: it tells nothing any more. */
int increment_prove_live(struct create *create, uint32_t drive, struct changes *list,
			 const struct proof_live *live, const struct increment_options *options,
			 const struct watcher *watcher, struct error *err);
/* Proves the lists; after increment_check. Those of drives whose verdict in create->marks is then
 * PROOF_RIGHT hold; all of any other drive has to be read. drives: NULL when they cannot be read:
 * their lists are taken as they are. */
int increment_prove(struct create *create, struct drive *const *drives,
		    struct changes *const *changes, const struct increment_options *options,
		    const struct watcher *watcher, struct error *err);

#endif
