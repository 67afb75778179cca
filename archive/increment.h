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

/* Proves the lists; after create_prepare. Those of drives whose verdict in create->marks is then
 * PROOF_RIGHT hold; all of any other drive has to be read. Lineage is checked of all before
 * anything is read. */
int increment_prove(struct create *create, struct drive *const *drives,
		    struct changes *const *changes, const struct increment_options *options,
		    const struct watcher *watcher, struct error *err);

#endif
